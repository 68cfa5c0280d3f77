//! Tables of texts, and what each must come to.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

/// A made-up world: files under their names, variables under theirs behind a `$`.
struct Files(BTreeMap<String, String>);

impl World for Files {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.get(path.to_str().expect("a name of this test"));
        let found = found.map(|text| text.clone().into_bytes());
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> bool {
        self.read(path).is_ok()
    }

    fn matching(&self, pattern: &Path) -> Option<Vec<PathBuf>> {
        let pattern = glob::Pattern::new(pattern.to_str()?).ok()?;
        let is_pattern = pattern.as_str().contains(['*', '?', '[']);
        let names = self.0.keys().filter(|name| pattern.matches(name));
        is_pattern.then(|| names.map(PathBuf::from).collect())
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(&format!("${name}")).cloned()
    }
}

fn made(parts: &[(&str, &str)]) -> Files {
    let own = |&(name, text): &(&str, &str)| (name.to_owned(), text.to_owned());
    Files(parts.iter().map(own).collect())
}

/// A value in a form that shows its kind; pairs that a variable named are in brackets.
fn show(value: &Value) -> String {
    match &value.kind {
        Kind::Text => format!("{:?}", value.text),
        Kind::Bool(value) => value.to_string(),
        Kind::Integer(number) => number.to_string(),
        Kind::TooLarge => format!("too large: {}", value.text),
        Kind::Float(number) => format!("{number:?}"),
        Kind::List(list) => {
            let list: Vec<String> = list.iter().map(show).collect();
            format!("[{}]", list.join(", "))
        }
        Kind::Map(map) => format!("{{{}}}", show_map(map)),
    }
}

fn show_map(map: &Map) -> String {
    let show = |pair: &Pair| match pair.used {
        true => format!("({}={})", pair.key, show(&pair.value)),
        false => format!("{}={}", pair.key, show(&pair.value)),
    };
    map.iter().map(show).collect::<Vec<_>>().join(" ")
}

fn outcome_in(text: &[u8], world: &Files) -> String {
    match parse("f".as_ref(), text, world) {
        Ok(document) => show_map(&document.root),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.join("\n")
        }
    }
}

fn outcome(text: &str) -> String {
    outcome_in(text.as_bytes(), &made(&[]))
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(outcome(text), *expected, "{text:?}");
    }
}

#[test]
fn a_pair_may_be_written_in_many_ways() {
    check(&[
        ("port: 4222", "port=4222"),
        ("port = 4222", "port=4222"),
        ("port 4222", "port=4222"),
        ("port\t4222\n", "port=4222"),
        ("port:4222", "port=4222"),
        ("port=4222", "port=4222"),
        ("port : 4222", "port=4222"),
        ("\"port\":4222", "port=4222"),
        ("'port' 4222", "port=4222"),
        ("port\n4222", "port=4222"),
        ("port\n: 4222", "port=4222"),
        ("a 1, b 2; c 3\nd 4", "a=1 b=2 c=3 d=4"),
        ("a: 1\r\nb: 2\r\n", "a=1 b=2"),
        ("\u{feff}port: 1", "port=1"),
        ("port\u{a0}4222", "port=4222"),
        ("a: 1\na: 2", "a=2"),
        ("A: 1\na: 2", "A=1 a=2"),
        ("", ""),
        ("# nothing\n// at all", ""),
        ("a: 1 # one\nb: 2 // two\n#c: 3", "a=1 b=2"),
        ("a: x#y//z", "a=\"x#y//z\""),
        ("a: 4222#x", "a=\"4222#x\""),
        ("a #b\n", "a=\"#b\""),
        ("a:", "a=\"\""),
    ]);
}

#[test]
fn maps_and_lists_stand_in_one_another() {
    check(&[
        ("m {a: 1}", "m={a=1}"),
        ("m = { a: 1, b: 2 }", "m={a=1 b=2}"),
        ("m: {\n a 1\n b 2;c 3\n}\nd 4", "m={a=1 b=2 c=3} d=4"),
        ("m\n{\n}", "m={}"),
        ("m { n { o [ {p: 1} ] } }", "m={n={o=[{p=1}]}}"),
        ("l [1, 2]", "l=[1, 2]"),
        ("l [5]", "l=[5]"),
        ("l [\n 1 # one\n 2,\n 3\n]", "l=[1, 2, 3]"),
        ("l [a, b, ]", "l=[\"a\", \"b\"]"),
        ("l = []", "l=[]"),
        ("l [{a: 1}\n{a: 2}]", "l=[{a=1}, {a=2}]"),
        (
            "{ \"a\": 1, \"l\": [true, 1.5, \"x\"] }",
            "a=1 l=[true, 1.5, \"x\"]",
        ),
        ("{ a: 1", "a=1"),
        ("a: 1 }", "a=1"),
        ("}\na: 1", "a=1"),
        ("{ { a: 1 } }", "a=1"),
        ("m {a: }", "m={a=\"\"}"),
    ]);
}

#[test]
fn words_are_what_they_look_like() {
    check(&[
        ("a -1", "a=-1"),
        ("a 9223372036854775807", "a=9223372036854775807"),
        ("a 9223372036854775808", "a=too large: 9223372036854775808"),
        (
            "a 9223372036854775807k",
            "a=too large: 9223372036854775807k",
        ),
        ("a -9223372036854775808", "a=-9223372036854775808"),
        (
            "l [1k, 1M, 1g, 1t, 1p, 1E]",
            "l=[1000, 1000000, 1000000000, 1000000000000, 1000000000000000, 1000000000000000000]",
        ),
        (
            "l [3kb, 3ki, 3KiB, 1mb, 1GB]",
            "l=[3072, 3072, 3072, 1048576, 1073741824]",
        ),
        (
            "l [1kbb, 1.5k, 1e3, 0x10, 1_000, +5, 50s, 30%, 1., .5, -, -x]",
            "l=[\"1kbb\", \"1.5k\", \"1e3\", \"0x10\", \"1_000\", \"+5\", \"50s\", \"30%\", \"1.\", \".5\", \"-\", \"-x\"]",
        ),
        ("l [1.5, -0.25]", "l=[1.5, -0.25]"),
        (
            "l [true, YES, on, False, no, oFF]",
            "l=[true, true, true, false, false, false]",
        ),
        (
            "l ['true', \"no\", truer]",
            "l=[\"true\", \"no\", \"truer\"]",
        ),
        ("a 127.0.0.1:4222", "a=\"127.0.0.1:4222\""),
        ("a nats://u:p@h:1/x?y=z", "a=\"nats://u:p@h:1/x?y=z\""),
        (
            "l [foo.*, _INBOX.>, a-b_c@d]",
            "l=[\"foo.*\", \"_INBOX.>\", \"a-b_c@d\"]",
        ),
        ("a 2016-05-04T18:53:41Z", "a=\"2016-05-04T18:53:41Z\""),
        ("a 1234-abcd", "a=\"1234-abcd\""),
        ("a foo'", "a=\"foo\""),
        ("m{a: 1}", "m{a=1"),
        ("a \u{e9}", "a=\"\u{e9}\""),
    ]);
}

#[test]
fn text_keeps_what_stands_between_its_quotes() {
    check(&[
        (r#"a "x y\t\x41\n\"\\""#, r#"a="x y\tA\n\"\\""#),
        (r"a x\x41\ty", r#"a="xA\ty""#),
        (r"a 'x\ty'", r#"a="x\\ty""#),
        ("a 'x\ny'", "a=\"x\\ny\""),
        ("a \"x\ny\"", "a=\"x\\ny\""),
        ("a \"$B # no, {}\"", "a=\"$B # no, {}\""),
        (r#"a "\xc3\xa9""#, "a=\"\u{e9}\""),
        ("a (\nblk\n)\nb 1", "a=\"\\nblk\\n\" b=1"),
        ("a (x (y)\n z)\n)", "a=\"x (y)\\n z)\\n\""),
        ("a (\r\nx\r\n)\r\nb 1", "a=\"\\r\\nx\\r\\n\" b=1"),
        ("a $2a$11$abc", "a=\"$2a$11$abc\""),
        ("a $2b$11$abc", "a=\"$2b$11$abc\""),
        ("a $2y$11$abc", "a=\"$2y$11$abc\""),
    ]);
}

#[test]
fn variables_are_pairs_above_or_of_the_environment() {
    let world = made(&[
        ("$PORT", "4222"),
        ("$PIN", "012345"),
        ("$DASH", "1234-abcd"),
        ("$BLANK", "a b"),
        ("$COMMENT", "a # b"),
        ("$QUOTED", "'a b'"),
        ("$MAP", "{a: 1, b: [2, 3]}"),
        ("$OPEN", "{a: 1"),
        ("$VIA", "$PORT"),
        ("$EMPTY", ""),
        ("$SCHEME", "{}x"),
        ("$LINES", "a\nb: c"),
        ("$TA", "$TB"),
        ("$TB", "$TA"),
        ("$HASH", "$2y$10$abc"),
    ]);
    for (text, expected) in [
        ("a $PORT", "a=4222"),
        ("a $DASH", "a=\"1234-abcd\""),
        ("a $BLANK", "a=\"a b\""),
        ("a $COMMENT", "a=\"a\""),
        ("a $QUOTED", "a=\"a b\""),
        ("a $MAP", "a={a=1 b=[2, 3]}"),
        ("a $OPEN", "a=\"{a: 1\""),
        ("a $SCHEME", "a=\"{}x\""),
        ("a $LINES", "a=\"a\\nb: c\""),
        ("a $VIA", "a=4222"),
        ("a $EMPTY", "a=\"\""),
        ("a $HASH", "a=\"$2y$10$abc\""),
        ("P 1\na $P", "(P=1) a=1"),
        ("PORT 1\na $PORT", "(PORT=1) a=1"),
        ("P 1\nm {a $P}", "(P=1) m={a=1}"),
        ("P 1\nm {P 2\na $P}", "P=1 m={(P=2) a=2}"),
        ("P [1, 2]\na $P", "(P=[1, 2]) a=[1, 2]"),
        ("P 1\nl [$P, {a: $P}]", "(P=1) l=[1, {a=1}]"),
        ("P 1\nP 2\na $P", "(P=2) a=2"),
        (
            "a $p\np 1",
            "f:1:3: variable reference for 'p' on line 1 can not be found",
        ),
        (
            "Q {P 1}\na $P",
            "f:2:3: variable reference for 'P' on line 2 can not be found",
        ),
        (
            "a $",
            "f:1:3: variable reference for '' on line 1 can not be found",
        ),
        (
            "a ${HOME",
            "f:1:3: variable reference for '{HOME' on line 1 can not be found",
        ),
        ("a $TA", "f:1:3: variable reference cycle for 'TA'"),
    ] {
        assert_eq!(outcome_in(text.as_bytes(), &world), expected, "{text:?}");
    }
    // Where text is wanted, it is what the environment says, letter by letter.
    let document = parse("f".as_ref(), b"a $PIN", &world).expect("it is right");
    let value = &document.root.get("a").expect("it is there").value;
    assert_eq!(
        (value.as_text(), &value.kind),
        (Some("012345"), &Kind::Integer(12345))
    );
    assert_eq!(value.origin, Origin::Environment("PIN".into()));
}

#[test]
fn included_pairs_stand_where_the_include_does() {
    let world = made(&[
        ("a.conf", "a: 1"),
        ("d/b.conf", "B: 2\nb: $B\ninclude c.conf"),
        ("d/c.conf", "c: 3"),
        ("d/x1.conf", "x1: 1"),
        ("d/x2.conf", "x2: 2"),
        ("/etc/e.conf", "e: 5\ninclude f.conf"),
        ("/etc/f.conf", "f: 6"),
        ("self.conf", "include self.conf"),
        ("one.conf", "include two.conf"),
        ("two.conf", "include one.conf"),
        ("bad.conf", "a: 1\nb: 2 3"),
    ]);
    for (text, expected) in [
        ("include a.conf", "a=1"),
        ("INCLUDE 'a.conf'", "a=1"),
        (
            "include \"./a.conf\"",
            "f:1:1: error parsing include file './a.conf', open ./a.conf: entity not found",
        ),
        ("m {include a.conf}", "m={a=1}"),
        (
            "x 0\ninclude a.conf\ninclude d/b.conf\ny $B",
            "x=0 a=1 (B=2) b=2 c=3 y=2",
        ),
        (
            "include a.conf include a.conf",
            "f:1:16: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'i' instead.'",
        ),
        ("include /etc/e.conf", "e=5 f=6"),
        ("include d/x*.conf", "x1=1 x2=2"),
        ("include d/x[2-9].conf", "x2=2"),
        ("include /etc/[ef].conf", "e=5 f=6"),
        ("include d/none*.conf", ""),
        ("include /d/x1.conf", "x1=1"),
        ("include: 5", "include=5"),
        ("include=5", "include=5"),
        (
            "P 1\ninclude p.conf",
            "f:2:1: error parsing include file 'p.conf', open p.conf: entity not found",
        ),
        (
            "include self.conf",
            "f:1:1: error parsing include file 'self.conf', self.conf:1:1: error parsing include file 'self.conf', a file cannot include itself: f includes self.conf includes self.conf",
        ),
        (
            "include one.conf",
            "f:1:1: error parsing include file 'one.conf', one.conf:1:1: error parsing include file 'two.conf', two.conf:1:1: error parsing include file 'one.conf', a file cannot include itself: f includes one.conf includes two.conf includes one.conf",
        ),
        (
            "include bad.conf",
            "f:1:1: error parsing include file 'bad.conf', bad.conf:2:6: Parse error on line 2: 'Expected a top-level value to end with a new line, comment or EOF, but got '3' instead.'",
        ),
        (
            "include [a]",
            "f:1:1: Parse error on line 1: 'Expected include value but found start of an array'",
        ),
        (
            "include {a}",
            "f:1:1: Parse error on line 1: 'Expected include value but found start of a map'",
        ),
        (
            "include (a)",
            "f:1:1: Parse error on line 1: 'Expected include value but found start of a block'",
        ),
        (
            "include\n",
            "f:1:1: Parse error on line 1: 'Expected include value but found new line'",
        ),
    ] {
        assert_eq!(outcome_in(text.as_bytes(), &world), expected, "{text:?}");
    }
}

#[test]
fn errors_name_the_place_and_the_text() {
    check(&[
        (
            "a 1 d",
            "f:1:5: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'd' instead.'",
        ),
        (
            "a:\n",
            "f:1:1: Parse error on line 1: 'Expected value but found new line; key \"a\" has none'",
        ),
        (
            "a",
            "f:1:1: config is invalid (f:1:1); key \"a\" has no value",
        ),
        (
            ": 5",
            "f:1:1: Parse error on line 1: 'Unexpected key separator ':''",
        ),
        (
            "a [1,,2]",
            "f:1:6: Parse error on line 1: 'Unexpected array value terminator ','.'",
        ),
        (
            "a [5 6]",
            "f:1:6: Parse error on line 1: 'Expected an array value terminator \",\" or an array terminator \"]\", but got '6' instead.'",
        ),
        (
            "x {a:,b:1}",
            "f:1:6: Parse error on line 1: 'Unexpected map value terminator \",\".'",
        ),
        (
            "x {a: 5 6}",
            "f:1:9: Parse error on line 1: 'Expected a map value terminator \",\" or a map terminator \"}\", but got '6' instead.'",
        ),
        (
            "\nx {\n b: 1\n",
            "f:2:3: Parse error on line 2: 'Unexpected EOF processing map.; the { that stands here needs a }'",
        ),
        (
            "x [1, 2\n",
            "f:1:3: Parse error on line 1: 'Unexpected EOF processing array.; the [ that stands here needs a ]'",
        ),
        (
            "x: \"abc\n",
            "f:1:4: Parse error on line 1: 'Unexpected EOF.; the quote that stands here is never closed'",
        ),
        (
            "x: 'abc\n",
            "f:1:4: Parse error on line 1: 'Unexpected EOF.; the quote that stands here is never closed'",
        ),
        (
            "x: (\nabc\n",
            "f:1:4: Parse error on line 1: 'Unexpected EOF processing block.; the block that begins here needs a ) on a line of its own'",
        ),
        (
            "x: a\\qb",
            "f:1:5: Parse error on line 1: 'Invalid escape character 'q'. Only the following escape characters are allowed: \\xXX, \\t, \\n, \\r, \\\", \\\\.'",
        ),
        (
            "x: a\\x4\ny: 1",
            "f:1:5: Parse error on line 1: 'Expected two hexadecimal digits after '\\x', but hit end of line'",
        ),
        (
            "x: \"\\x4\"",
            "f:1:5: Parse error on line 1: 'Expected two hexadecimal digits after '\\x', but got '4\"''",
        ),
        (
            "\u{e9}\u{e9}: 1 2",
            "f:1:7: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got '2' instead.'",
        ),
        // All of them, and what closes a map is not lost with the line.
        (
            "a 1 x\nb {c 1 y}\nd 1 z",
            "f:1:5: Parse error on line 1: 'Expected a top-level value to end with a new line, comment or EOF, but got 'x' instead.'\nf:2:8: Parse error on line 2: 'Expected a map value terminator \",\" or a map terminator \"}\", but got 'y' instead.'\nf:3:5: Parse error on line 3: 'Expected a top-level value to end with a new line, comment or EOF, but got 'z' instead.'",
        ),
    ]);
    let latin = outcome_in(b"# caf\xe9\na: \xe9", &made(&[]));
    assert_eq!(
        latin,
        "f:2:4: Parse error on line 2: 'The text here is not UTF-8'"
    );
    let mut bomb = "v0 [1, 1]\n".to_owned();
    for level in 1..64 {
        let _ = writeln!(bomb, "v{level} [$v{0}, $v{0}]", level - 1);
    }
    let bomb = outcome(&bomb);
    assert!(bomb.contains("more than 100000 values"), "{bomb}");
    let deep = outcome(&format!("a {}", "[".repeat(200_000)));
    assert!(deep.contains("more than 64 deep"), "{}", &deep[..200]);
}

/// Runs `work` on a thread with little stack.
fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let thread = thread.spawn(work).expect("a thread");
    thread.join().expect("it does not panic");
}

#[test]
fn no_depth_of_a_file_or_of_its_neighbours_takes_more_stack_than_there_is() {
    on_a_small_stack(|| {
        const LEVELS: usize = 1_000_000;
        let refused = |text: String, world: &Files| {
            let told = outcome_in(text.as_bytes(), world);
            let told: String = told.chars().take(20_000).collect();
            assert!(told.contains("more than 64"), "{told}");
        };
        let alone = made(&[]);
        for opening in ["[", "{a: ", "[{a: ", "{a "] {
            refused(format!("a {}", opening.repeat(LEVELS)), &alone);
            let whole = format!("a {}", "[".repeat(LEVELS)) + &"]".repeat(LEVELS);
            refused(whole, &alone);
        }
        // Files that include the next, variables that name the next, lists that hold the last.
        let file = |number: usize| {
            (
                format!("f{number}"),
                format!("a {{ include f{} }}", number + 1),
            )
        };
        let files = Files((0..2000).map(file).collect());
        refused("include f0".to_owned(), &files);
        let variable = |number: usize| (format!("$v{number}"), format!("$v{}", number + 1));
        let variables = Files((0..2000).map(variable).collect());
        refused("a $v0".to_owned(), &variables);
        let mut chain = "v0 [1]\n".to_owned();
        for level in 1..2000 {
            let _ = writeln!(chain, "v{level} [$v{}]", level - 1);
        }
        refused(chain, &alone);
        // All of them together, as deep as may be, is read, told, copied and dropped.
        let mut text = "x ".to_owned();
        text += &"[{a: ".repeat(31);
        text += "$v ";
        text += &"}]".repeat(31);
        let world = made(&[("$v", "[1]")]);
        let document = parse("f".as_ref(), text.as_bytes(), &world).expect("it is deep enough");
        drop(document.clone());
        let settings = crate::config::options::settings(&document);
        assert_eq!(settings.report.errors.len(), 1);
    });
}

/// A text of the language for a tree, by the plainest of its forms.
fn write_tree(value: &Tree, out: &mut String) {
    match value {
        Tree::Text(text) => {
            out.push('"');
            for byte in text.bytes() {
                let _ = match byte {
                    b'"' | b'\\' => write!(out, "\\{}", char::from(byte)),
                    b' '..=b'~' => write!(out, "{}", char::from(byte)),
                    other => write!(out, "\\x{other:02x}"),
                };
            }
            out.push('"');
        }
        Tree::Integer(number) => out.push_str(&number.to_string()),
        Tree::Bool(value) => out.push_str(if *value { "on" } else { "no" }),
        Tree::List(list) => {
            out.push('[');
            for value in list {
                write_tree(value, out);
                out.push('\n');
            }
            out.push(']');
        }
        Tree::Map(map) => {
            out.push('{');
            for (key, value) in map {
                let _ = write!(out, "'{key}' ");
                write_tree(value, out);
                out.push(';');
            }
            out.push('}');
        }
    }
}

#[derive(Clone, Debug)]
enum Tree {
    Text(String),
    Integer(i64),
    Bool(bool),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Tree::Text),
        any::<i64>().prop_map(Tree::Integer),
        any::<bool>().prop_map(Tree::Bool),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Tree::List),
            proptest::collection::btree_map("[a-z$ :#]{1,8}", inner, 0..5).prop_map(Tree::Map),
        ]
    })
}

fn same(tree: &Tree, value: &Value) -> bool {
    match (tree, &value.kind) {
        (Tree::Text(text), Kind::Text) => *text == value.text,
        (Tree::Integer(number), Kind::Integer(other)) => number == other,
        (Tree::Bool(value), Kind::Bool(other)) => value == other,
        (Tree::List(list), Kind::List(other)) => {
            list.len() == other.len() && list.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Tree::Map(map), Kind::Map(other)) => {
            map.len() == other.iter().count()
                && map
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|pair| same(value, &pair.value)))
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn what_is_written_plainly_is_read_back(tree in tree()) {
        let mut text = "key ".to_owned();
        write_tree(&tree, &mut text);
        let document = parse("f".as_ref(), text.as_bytes(), &made(&[]));
        let document = document.map_err(|errors| TestCaseError::fail(format!("{text}: {errors:?}")))?;
        let value = &document.root.get("key").expect("it was written").value;
        prop_assert!(same(&tree, value), "{text}\n{value:?}");
    }

    #[test]
    fn every_json_object_is_read(tree in proptest::collection::btree_map("[a-zA-Z]{1,6}", json(), 0..5)) {
        let text = serde_json::to_string_pretty(&tree).expect("it is JSON");
        let document = parse("f".as_ref(), text.as_bytes(), &made(&[]));
        let document = document.map_err(|errors| TestCaseError::fail(format!("{text}: {errors:?}")))?;
        prop_assert_eq!(document.root.iter().count(), tree.len());
    }

    #[test]
    fn nothing_makes_it_panic_and_errors_have_a_place(text in "[a-c{}\\[\\]()$:=,;#/\"'\\\\ \n\t0-9.-]{0,80}") {
        if let Err(errors) = parse("f".as_ref(), text.as_bytes(), &made(&[])) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let at = error.at.expect("it stands somewhere");
                prop_assert!(at.line as usize <= text.split('\n').count());
            }
        }
    }

    #[test]
    fn a_word_keeps_its_text(word in "[a-zA-Z0-9_.:@*>%+-]{1,20}") {
        prop_assume!(!word.starts_with("//"));
        let text = format!("key: {word}\n");
        let document = parse("f".as_ref(), text.as_bytes(), &made(&[])).expect("it is a word");
        let value = &document.root.get("key").expect("it was written").value;
        prop_assert_eq!(value.as_text(), Some(word.as_str()));
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value as Json;
    let leaf = prop_oneof![
        "[ -!#-\\[\\]-~]{0,10}".prop_map(Json::from),
        any::<i32>().prop_map(Json::from),
        any::<bool>().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map("[a-z]{1,5}", inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}
