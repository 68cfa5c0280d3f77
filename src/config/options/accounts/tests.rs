//! The block `accounts`.

use super::super::tests::check;

#[test]
fn accounts_are_a_map_or_a_list_of_names_and_their_users_are_in_one_of_them() {
    check(&[
        ("accounts: [A, B]", "accounts=[A, B]"),
        (
            "accounts {A {users: [{user: a, password: x}]}, B {}}\nno_auth_user: a\nsystem: B",
            "authorization=users a in A no_auth_user=a accounts=[A, B] system_account=B",
        ),
        (
            "authorization {users: [{user: g}]}\naccounts {A {users: [{user: a}]}}",
            "authorization=users g, a in A accounts=[A]",
        ),
        (
            "accounts {A {users: [{user: a}]}}\nauthorization {users: [{user: g}], timeout: 5}",
            "authorization=users g, a in A authorization timeout=5s accounts=[A]",
        ),
        (
            "accounts {A {limits {max_conn: 1, max_subs: 2, max_pay: 3, max_leafs: 4}}, B {limits {max_connections: 0, max_subscriptions: -1}}}",
            "accounts=[A {max_connections: 1, max_subscriptions: 2, max_payload: 3, max_leafnodes: 4}, B {max_connections: 0}]",
        ),
        (
            "accounts {A {default_permissions {publish: p}}}",
            "accounts=[A {default_permissions: {publish: {allow: [p]}}}]",
        ),
        (
            "accounts {A {users: [{user: a}]}}\naccounts {B {users: [{user: b}]}}",
            "authorization=users b in B accounts=[B]",
        ),
        (
            "accounts {A {mappings {a: b}, maps {\"c.*\": \"d.$1\"}}}",
            "accounts=[A {mappings: [a -> b, c.* -> d.$1]}]",
        ),
        (
            "accounts {A {jetstream: enabled}}",
            "accounts=[A] ~f:1:14: \"jetstream\" has no effect: JetStream is not supported: nothing is stored",
        ),
    ]);
}

#[test]
fn what_is_wrong_in_accounts_is_told_with_what_to_do() {
    check(&[
        (
            "accounts {$G {}}",
            "f:1:11: \"$G\" is a Reserved Account; its users stand in authorization",
        ),
        ("accounts: [A, A]", "f:1:15: Duplicate Account Entry: A"),
        (
            "accounts: [A, {}]",
            "f:1:15: Expected the name of an account, got a map",
        ),
        (
            "accounts: A",
            "f:1:1: Expected accounts to be a map or a list of names, got text; write accounts { A { } }",
        ),
        (
            "accounts {A: 5}",
            "f:1:11: Expected map entries for accounts",
        ),
        (
            "accounts {A {users: [{user: a}]}, B {users: [{user: a}]}}",
            "f:1:46: Duplicate user \"a\" detected",
        ),
        (
            "accounts {A {users: [{user: a}]}}\nauthorization {users: [{user: a}]}",
            "f:1:22: Duplicate user \"a\" detected",
        ),
        (
            "accounts {A {users: [{user: a}]}}\nauthorization {token: t}",
            "f:2:1: Can not have a token and a users array",
        ),
        (
            "accounts {A {users: [{user: a}]}}\nauthorization {user: u, password: p}",
            "f:2:1: Can not have a single user/pass and a users array",
        ),
        (
            "accounts {A {limits: 5}}",
            "f:1:14: Expected account limits to be a map/struct, got a whole number",
        ),
        (
            "accounts {A {limits {foo: 1}}}",
            "f:1:22: Unknown field \"foo\" parsing account limits",
        ),
        (
            "accounts {A {limits {max_conn: -7}}}",
            "f:1:22: max_conn is -7; use -1 for no limit",
        ),
        (
            "accounts {A {nkey: UABC}}",
            "f:1:14: Not a valid public nkey for an account: \"UABC\"; it is the one of 56 letters that begins with A",
        ),
        (
            "accounts {A {exports: [{stream: a}], imports: [], mappings {a: b}, msg_trace: x}}",
            "f:1:68: \"msg_trace\" is not supported yet: messages are not traced from broker to broker; remove it",
        ),
        (
            "accounts {A {usrs: []}}",
            "f:1:14: unknown field \"usrs\"; did you mean users?",
        ),
    ]);
}
