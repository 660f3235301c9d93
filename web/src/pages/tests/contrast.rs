//! Contrast of the tokens: text 4.5:1, marks 3:1, on every ground they stand on, in both themes.

use std::collections::HashMap;

const TOKENS: &str = include_str!("../../../static/css/tokens.css");

/// Text colours, each on every ground text stands on.
const TEXT: &[(&str, &[&str])] = &[
    (
        "ink",
        &[
            "ground",
            "surface",
            "raised",
            "sunken",
            "accent-soft",
            "breach-soft",
            "watch-soft",
            "ok-soft",
        ],
    ),
    ("ink-2", &["ground", "surface", "raised", "sunken", "accent-soft", "breach-soft"]),
    ("ink-3", &["ground", "surface", "raised", "sunken"]),
    ("accent", &["ground", "surface", "raised"]),
    ("accent-ink", &["accent"]),
    ("ok", &["surface", "ground"]),
    ("watch", &["surface", "ground", "watch-soft"]),
    ("breach", &["surface", "ground", "breach-soft"]),
];

/// Marks, lines that mean something, and edges of fields.
const MARKS: &[(&str, &[&str])] = &[
    ("ok", &["surface"]),
    ("watch", &["surface"]),
    ("breach", &["surface", "breach-soft"]),
    ("idle", &["surface"]),
    ("control", &["surface", "ground"]),
    ("c1", &["surface"]),
    ("c2", &["surface"]),
    ("c3", &["surface"]),
    ("c4", &["surface"]),
    ("c5", &["surface"]),
    ("c6", &["surface"]),
];

#[test]
fn text_and_marks_can_be_seen_in_both_themes() {
    let mut low = Vec::new();
    for theme in ["light", "dark"] {
        let tokens = theme_tokens(theme);
        for (wanted, table) in [(4.5, TEXT), (3.0, MARKS)] {
            for (front, grounds) in table {
                for ground in *grounds {
                    let ratio = contrast(&tokens[*front], &tokens[*ground]);
                    if ratio < wanted {
                        low.push(format!("{theme}: {front} on {ground} is {ratio:.2}, wanted {wanted}"));
                    }
                }
            }
        }
    }
    assert!(low.is_empty(), "{low:#?}");
}

#[test]
fn the_system_theme_has_the_same_colours_as_the_chosen_one() {
    let chosen = block(":root[data-theme=\"dark\"] {");
    let system = block(":root:not([data-theme]) {");
    let lines = |text: &str| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(chosen), lines(system));
}

fn theme_tokens(theme: &str) -> HashMap<String, String> {
    let start = if theme == "light" {
        ":root, :root[data-theme=\"light\"] {"
    } else {
        ":root[data-theme=\"dark\"] {"
    };
    let pairs = block(start)
        .split(';')
        .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": "));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn block(start: &str) -> &'static str {
    let from = TOKENS.find(start).expect("the theme is in tokens.css") + start.len();
    &TOKENS[from..from + TOKENS[from..].find('}').expect("the block ends")]
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn luminance(hex: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("tokens are #rrggbb")) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}
