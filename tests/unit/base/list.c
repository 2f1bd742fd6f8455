#include "check.h"

struct item {
    struct list node;
    int number;
};

enum { ITEMS = 40 };

/* The model: numbers in an array. */
struct row {
    int numbers[ITEMS];
    size_t n;
};

static void row_insert(struct row *r, size_t at, int number)
{
    memmove(&r->numbers[at + 1], &r->numbers[at], (r->n - at) * sizeof(int));
    r->numbers[at] = number;
    r->n++;
}

static void row_remove(struct row *r, int number)
{
    size_t at = 0;

    while (r->numbers[at] != number)
        at++;
    r->n--;
    memmove(&r->numbers[at], &r->numbers[at + 1], (r->n - at) * sizeof(int));
}

static void check_row(const struct list *head, const struct row *r)
{
    size_t i = 0;

    LIST_EACH (it, head) {
        CHECK(i < r->n);
        CHECK_EQ(container_of(it, struct item, node)->number, r->numbers[i]);
        CHECK(it->next->prev == it);
        i++;
    }
    CHECK_EQ(i, r->n);
    CHECK_EQ(list_empty(head), r->n == 0);
    CHECK_EQ(LIST_FIRST(head, struct item, node) == NULL
                 ? -1
                 : LIST_FIRST(head, struct item, node)->number,
             r->n == 0 ? -1 : r->numbers[0]);
    CHECK_EQ(LIST_LAST(head, struct item, node) == NULL
                 ? -1
                 : LIST_LAST(head, struct item, node)->number,
             r->n == 0 ? -1 : r->numbers[r->n - 1]);
}

TEST(list, agrees_with_an_array)
{
    struct item items[ITEMS] = {0};
    struct list head = LIST_INIT(head);
    struct row row = {0};
    struct prng g;

    prng_init(&g, 5);
    for (int step = 0; step < 20000; step++) {
        int i = (int)prng_below(&g, ITEMS);
        struct item *item = &items[i];
        item->number = i;
        if (prng_chance(&g, 100000) && row.n > 0) {
            struct item *first = container_of(list_take_head(&head), struct item, node);
            CHECK(!list_linked(&first->node));
            row_remove(&row, first->number);
        } else if (list_linked(&item->node)) {
            list_remove(&item->node);
            row_remove(&row, i);
        } else if (prng_chance(&g, 300000) && row.n > 0) {
            size_t at = prng_below(&g, row.n);
            list_insert_before(&items[row.numbers[at]].node, &item->node);
            row_insert(&row, at, i);
        } else if (prng_chance(&g, 500000)) {
            list_add_head(&head, &item->node);
            row_insert(&row, 0, i);
        } else {
            list_add_tail(&head, &item->node);
            row_insert(&row, row.n, i);
        }
        check_row(&head, &row);
    }
}

TEST(list, moves_all_to_the_end_of_another)
{
    struct item items[5] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    struct list from = LIST_INIT(from), to = LIST_INIT(to);

    list_move_all(&to, &from);
    check_row(&to, &(struct row){0});
    list_add_tail(&from, &items[0].node);
    list_add_tail(&from, &items[1].node);
    list_move_all(&to, &from);
    check_row(&to, &(struct row){{0, 1}, 2});
    check_row(&from, &(struct row){0});
    list_add_tail(&from, &items[2].node);
    list_move_all(&to, &from);
    list_move_all(&to, &from);
    check_row(&to, &(struct row){{0, 1, 2}, 3});
}

TEST(list, walk_survives_removal_of_the_current)
{
    struct item items[6] = {0};
    struct list head = LIST_INIT(head);

    for (int i = 0; i < 6; i++) {
        items[i].number = i;
        list_add_tail(&head, &items[i].node);
    }
    LIST_EACH (it, &head) {
        if (container_of(it, struct item, node)->number % 2 == 0)
            list_remove(it);
    }
    check_row(&head, &(struct row){{1, 3, 5}, 3});
    CHECK(list_take_head(&head) == &items[1].node);
    CHECK(list_take_head(&head) == &items[3].node);
    CHECK(list_take_head(&head) == &items[5].node);
    CHECK(list_take_head(&head) == NULL);
}
