#include "base/list.h"

#include "support/unit.h"

struct item {
    int number;
    struct list_link link;
};

static void lists_keep_their_order(void **state)
{
    (void)state;
    struct list_link head;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    struct list_link zero = {NULL, NULL};
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_true(list_is_empty(&zero));
    assert_false(list_is_linked(&items[0].link));
    list_remove(&items[0].link);
    list_append(&head, &items[1].link);
    list_append(&head, &items[2].link);
    list_prepend(&head, &items[0].link);
    list_append(&head, &items[3].link);
    int expected = 0;
    for (struct list_link *l = head.next; l != &head; l = l->next)
        assert_int_equal(LIST_ITEM(l, struct item, link)->number, expected++);
    assert_int_equal(expected, 4);
    list_remove(&items[2].link);
    list_remove(&items[2].link);
    assert_false(list_is_linked(&items[2].link));
    assert_ptr_equal(items[1].link.next, &items[3].link);
    list_remove(&items[0].link);
    list_remove(&items[3].link);
    assert_ptr_equal(head.next, &items[1].link);
    assert_ptr_equal(head.previous, &items[1].link);
    list_remove(&items[1].link);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
