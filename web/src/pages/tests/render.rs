//! Every page renders in every language without a key in place of a text; the pages can be written out and looked at.

use askama::Template;

use super::fixture;
use crate::l10n;
use crate::pages::shell::Place;
use crate::pages::wall::{Asked, Material, WallPage};

fn wall(l: &'static l10n::Texts, theme: Option<&'static str>, tv: bool, empty: bool) -> String {
    let mut s = fixture::shell(l, Place::Wall, &l.t("wall-title"), theme);
    s.tv = tv;
    let (board, calls) = if empty {
        (fixture::empty_board(), Vec::new())
    } else {
        (fixture::board(), fixture::calls())
    };
    let agents = vec![
        ("agent_en".to_owned(), "Reception EN".to_owned()),
        ("agent_es".to_owned(), "Reception ES".to_owned()),
    ];
    let material = Material {
        heading: "Northside Clinics".into(),
        asked: Asked::default(),
        agents,
        board: &board,
        calls: &calls,
        first_use: empty,
        intake_url: "https://calls.example.org/v1/retell/9f2c7d41".into(),
        stream: "/v1/stream?topics=board,calls".into(),
    };
    WallPage::of(s, material).render().expect("the wall renders")
}

#[test]
fn the_wall_renders_in_every_language_and_state() {
    for l in l10n::languages() {
        for empty in [false, true] {
            let page = wall(l, None, false, empty);
            assert!(page.contains(&format!("lang=\"{}\" dir=\"{}\"", l.lang, l.dir)));
            no_raw_keys(&page);
        }
    }
    for (name, theme, tv, empty) in [
        ("wall-light", "light", false, false),
        ("wall-dark", "dark", false, false),
        ("wall-tv", "dark", true, false),
        ("wall-empty", "light", false, true),
    ] {
        write(name, &wall(&l10n::languages()[0], Some(theme), tv, empty));
    }
    write("wall-rtl", &wall(&l10n::languages()[2], Some("light"), false, false));
    write("wall-pseudo", &wall(&l10n::languages()[1], Some("light"), false, false));
}

#[test]
fn nothing_shows_a_zero_where_nothing_is_known() {
    let page = wall(&l10n::languages()[0], None, false, true);
    let tiles = page.split("data-tile=").skip(1);
    for tile in tiles {
        assert!(tile.contains("data-f=\"number\" class=\"dash\">–<"), "{}", &tile[..200]);
    }
}

/// A text that fell back to its key looks like `some-key` alone between tags.
pub fn no_raw_keys(page: &str) {
    let visible = page.split('>').filter_map(|part| part.split('<').next()).map(str::trim);
    let raw: Vec<&str> = visible
        .filter(|text| text.contains('-') && !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
        .collect();
    assert!(raw.is_empty(), "{raw:?}");
}

/// Writes a page out to be looked at, with its files beside it.
pub fn write(name: &str, page: &str) {
    let Ok(folder) = std::env::var("TRUNKLINE_PREVIEW") else { return };
    let path = std::path::Path::new(&folder).join(format!("{name}.html"));
    std::fs::write(path, page).expect("the preview folder can be written");
}
