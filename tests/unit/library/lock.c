/* The lock and the waiting that all handles stand on. */
#include "check.h"
#include "library/internal.h"

#define THREADS 4
#define TIMES 50000
#define TURNS 2000

static struct lock lock;
static struct changed changed;
static int64_t sum, turn;

static void *add(void *arg)
{
    for (int i = 0; i < TIMES; i++) {
        lock_take(&lock);
        sum++;
        lock_leave(&lock);
    }
    return NULL;
}

TEST(library_lock, one_at_a_time)
{
    pthread_t threads[THREADS];

    sum = 0;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, add, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(sum, THREADS * TIMES);
}

/* The threads take turns: a word that is lost leaves both asleep. */
static void *take_turns(void *arg)
{
    int64_t mine = (int64_t)(intptr_t)arg;

    lock_take(&lock);
    for (int i = 0; i < TURNS; i++) {
        while (turn % 2 != mine)
            changed_wait(&changed, &lock, -1);
        turn++;
        changed_tell(&changed);
    }
    lock_leave(&lock);
    return NULL;
}

TEST(library_lock, who_waits_is_told)
{
    pthread_t threads[2];

    turn = 0;
    for (intptr_t i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_turns, (void *)i), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(turn, 2 * TURNS);
    CHECK_EQ(changed.waiting, 0);
}

TEST(library_lock, waiting_ends_when_its_time_is_up)
{
    int64_t until_ms = clock_ms() + 20;

    lock_take(&lock);
    while (changed_wait(&changed, &lock, until_ms)) {
    }
    CHECK(clock_ms() >= until_ms);
    CHECK(!changed_wait(&changed, &lock, 1)); /* long ago */
    lock_leave(&lock);
}
