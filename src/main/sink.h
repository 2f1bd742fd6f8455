/* main/sink.h - log lines to standard error, from any thread (internal). */
#pragma once

#include "telemetry/telemetry.h"

/* `[2026-01-31 12:00:00,123] INFO room: line`, one write each. */
extern struct telemetry_sink stderr_sink;
