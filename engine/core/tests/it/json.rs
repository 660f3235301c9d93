//! The JSON reader (rule A6) and canonical text (rule B1).

use proptest::prelude::*;
use trunkline_core::json::{Bad, Canonical, Number, Sink, Tape, walk};

struct Nothing;
impl Sink for Nothing {}

fn parse(text: &str) -> Result<(), Bad> {
    walk(text.as_bytes(), &mut Nothing)
}

fn canonical(text: &str) -> String {
    let mut tape = Tape::default();
    tape.read(text).unwrap_or_else(|bad| panic!("{bad:?}: {text}"));
    String::from_utf8(Canonical::default().text(tape.root(text)).to_vec()).unwrap()
}

#[test]
fn s078_a6_every_fault_is_found() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{1:1}",
        "[1 2]",
        "[1]]",
        "{}{}",
        "1 1",
        "nul",
        "nulll",
        "True",
        "NaN",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x10",
        "1_000",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12G4\"",
        "\"a\nb\"",
        "\"a\u{1}\"",
        "\"12345678\u{1f}\"",
        "[1}",
        "{\"a\":1]",
        "//c\n1",
        "\u{a0}1",
        "[\u{0}]",
    ] {
        assert_eq!(parse(text), Err(Bad::Syntax), "{text:?}");
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(text).is_err(), "{text:?}");
    }
}

#[test]
fn a6_numbers_are_read_however_they_are_spelled() {
    for (text, rounded) in [
        ("61000", Some(61000)),
        ("61000.0", Some(61000)),
        ("6.1e4", Some(61000)),
        ("6.1E+4", Some(61000)),
        ("610000e-1", Some(61000)),
        ("0.5", Some(1)),
        ("0.49999999999999999999", Some(0)),
        ("2.5", Some(3)),
        ("-2.5", Some(-2)),
        ("-2.51", Some(-3)),
        ("-0.5", Some(0)),
        ("35921.5", Some(35922)),
        ("5e-1", Some(1)),
        ("5e-2", Some(0)),
        ("0.05e1", Some(1)),
        ("9223372036854775807", Some(i64::MAX)),
        ("9223372036854775808", None),
        ("-9223372036854775808", Some(i64::MIN)),
        ("9007199254740993.0", Some(9_007_199_254_740_993)),
        ("1e400", None),
        ("0e400", Some(0)),
        ("1e-400", Some(0)),
        ("1e99999999999999999999", None),
        ("-1e99999999999999999999", None),
        ("1e-99999999999999999999", Some(0)),
    ] {
        assert_eq!(Number(text).rounded(), rounded, "{text}");
    }
    assert_eq!(Number("1.0005").thousandfold(), Some(1001));
    assert_eq!(Number("1795305600").thousandfold(), Some(1_795_305_600_000));
    assert_eq!(Number("1e400").float(), None);
    assert_eq!(Number("1e308").float(), Some(1e308));
    assert_eq!((Number("2.0").integral(), Number("2.5").integral()), (Some(2), None));
}

#[test]
fn a6_lone_surrogates_are_shown_as_replacement_and_nul_is_dropped() {
    let text = r#"{"lone":"a\ud800b","low":"\udc00","pair":"\ud83d\ude42","twice":"\ud800\ud800\udc00","nul":"a\u0000b","only":"\u0000"}"#;
    let mut tape = Tape::default();
    tape.read(text).unwrap();
    let shown = |name: &str| tape.root(text).get(name).unwrap().text().map(|text| text.into_owned());
    assert_eq!(shown("lone").unwrap(), "a\u{fffd}b");
    assert_eq!(shown("low").unwrap(), "\u{fffd}");
    assert_eq!(shown("pair").unwrap(), "🙂");
    assert_eq!(shown("twice").unwrap(), "\u{fffd}\u{10000}");
    assert_eq!(shown("nul").unwrap(), "ab");
    assert_eq!(shown("only"), None);
}

#[test]
fn b1_canonical_text_is_the_same_for_every_spelling_of_a_value() {
    for (one, other) in [
        (r#"{"b":1,"a":2}"#, r#" { "a" : 2 , "b" : 1 } "#),
        ("[61000,1.5]", "[6.1e4,15e-1]"),
        ("[61000]", "[61000.0]"),
        (r#"["\u0041\/é\n"]"#, "[\"A/\\u00e9\\u000a\"]"),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"\u0061":1,"a":2}"#, r#"{"a":2}"#),
        ("[0.1]", "[0.10]"),
        ("[-0]", "[0.0]"),
        ("[1e400]", " [1e400]"),
        ("[0.00001]", "[1e-5]"),
        (r#"["\ud83d\ude42"]"#, "[\"🙂\"]"),
    ] {
        assert_eq!(canonical(one), canonical(other), "{one}  {other}");
    }
    for (one, other) in [
        ("[1]", "[\"1\"]"),
        ("[null]", "[]"),
        ("[9007199254740993]", "[9007199254740992]"),
        (r#"["\ud800"]"#, r#"["\ufffd"]"#),
        ("[1e400]", "[1e401]"),
    ] {
        assert_ne!(canonical(one), canonical(other), "{one}  {other}");
    }
}

#[test]
fn b1_canonical_text_is_spelled_as_the_rule_says() {
    let text = "{ \"z\" : [ 1.0, 2.50, -0.0, 1e2, 12345678901234567890, 1e-7, 1e400 ], \"a\\\"\" : { \"y\":null , \"x\": \"\\u0001\\u000A\\/\" }, \"\": true }";
    assert_eq!(
        canonical(text),
        r#"{"":true,"a\"":{"x":"\u0001\n/","y":null},"z":[1,2.5,0,100,1.2345678901234567e19,1e-7,1e400]}"#
    );
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Into::into),
        (0u32..2_000_000).prop_map(|thousandths| serde_json::json!(f64::from(thousandths) / 1000.0)),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map("[a-c]{0,10}|\\PC{0,3}", inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a6_what_is_json_to_others_is_json_to_us(value in any_json()) {
        prop_assert_eq!(parse(&value.to_string()), Ok(()));
        prop_assert_eq!(parse(&serde_json::to_string_pretty(&value).unwrap()), Ok(()));
    }

    #[test]
    fn s078_a6_broken_text_is_judged_as_others_judge_it(value in any_json(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:0-9a-z\\\\ .+-]{0,2}") {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..at + 1, with.chars());
        let text: String = text.into_iter().collect();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(parse(&text).is_ok(), theirs, "{}", text);
    }

    #[test]
    fn b1_canonical_text_means_the_same_and_is_stable(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let text = canonical(&pretty);
        prop_assert_eq!(&canonical(&text), &text);
        prop_assert_eq!(&canonical(&value.to_string()), &text);
    }

    #[test]
    fn texts_come_out_as_others_read_them(text in any::<String>()) {
        let body = serde_json::to_string(&text).unwrap();
        let mut tape = Tape::default();
        tape.read(&body).unwrap();
        prop_assert_eq!(tape.root(&body).string().unwrap().into_owned(), text);
    }
}
