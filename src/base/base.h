/* base/base.h - what every room may use: words, memory, containers, waiting.
 *
 * This is the only room that stands on nothing. It knows no clock, no file and no socket; it
 * never takes a lock. Include this one header, not the parts.
 *
 *   assert.h  bugs stop the process           buf.h    bytes shared by reference count
 *   error.h   trouble: negative int           list.h   intrusive doubly linked list
 *   str.h     text and bytes, borrowed        map.h    hash table with intrusive nodes
 *   arena.h   memory that ends together       heap.h   intrusive min-heap
 *   ledger.h  how much memory there may be
 *   text.h    growing text                    op.h     an operation in flight
 *   endian.h  big-endian numbers, varints     flow.h   a wait-by-wait program
 *   crc32c.h  Castagnoli checksum             gate.h   a life that waits for its operations
 *   prng.h    seeded random numbers           uuid.h   16 bytes and their 22 letters
 */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/str.h"
#include "base/arena.h"
#include "base/text.h"
#include "base/endian.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/uuid.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/ledger.h"
#include "base/map.h"
#include "base/heap.h"
#include "base/op.h"
#include "base/flow.h"
#include "base/gate.h"
