//! Texts of the screens: Fluent bundles, which language a reader gets, and the two pseudo-locales that keep us honest.

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

/// The English source; the other languages have the same keys, a test holds them to it.
const ENGLISH: &str = include_str!("../locales/en.ftl");

/// Texts of one language.
pub struct Texts {
    /// BCP 47 tag, for `lang`.
    pub lang: &'static str,
    /// Writing direction, for `dir`.
    pub dir: &'static str,
    /// The language's own name.
    pub name: &'static str,
    bundle: FluentBundle<FluentResource>,
}

/// All languages, those that people choose first. `en-XA` is English with accents and a third longer: what is cut off or not translated shows at once.
/// `en-XB` is English set from right to left: what is not mirrored shows.
static LANGUAGES: LazyLock<Vec<Texts>> = LazyLock::new(|| {
    vec![
        load("en", "ltr", "English", ENGLISH, None),
        load("es", "ltr", "Español", include_str!("../locales/es.ftl"), None),
        load("de", "ltr", "Deutsch", include_str!("../locales/de.ftl"), None),
        load("ar", "rtl", "العربية", include_str!("../locales/ar.ftl"), None),
        load("en-XA", "ltr", "Ƥşḗŭḓǿ", ENGLISH, Some(accent)),
        load("en-XB", "rtl", "Pseudo, right to left", ENGLISH, None),
    ]
});

/// Every language there is.
pub fn languages() -> &'static [Texts] {
    &LANGUAGES
}

/// The languages that people choose from: all but the two that are made up.
pub fn offered() -> impl Iterator<Item = &'static Texts> {
    LANGUAGES.iter().filter(|texts| !texts.lang.contains("-X"))
}

/// The texts for a reader: the wish they saved, else what the browser asks for, else English.
pub fn negotiate(saved: Option<&str>, accept_language: Option<&str>) -> &'static Texts {
    let exact = |tag: &str| LANGUAGES.iter().find(|texts| texts.lang.eq_ignore_ascii_case(tag));
    let asked = accept_language
        .unwrap_or_default()
        .split(',')
        .map(|part| part.split(';').next().unwrap_or("").trim());
    saved
        .and_then(exact)
        .or_else(|| {
            asked
                .into_iter()
                .find_map(|tag| exact(tag).or_else(|| exact(tag.split('-').next().unwrap_or(""))))
        })
        .unwrap_or(&LANGUAGES[0])
}

/// The key of the text that is said of one thing.
pub fn of_one(key: &str) -> String {
    format!("{key}-one")
}

impl Texts {
    /// The text of `key`.
    pub fn t(&self, key: &str) -> String {
        self.format(key, None)
    }

    /// The text of `key` with one value in it.
    pub fn t1<'a>(&self, key: &str, name: &'a str, value: impl Into<FluentValue<'a>>) -> String {
        let mut args = FluentArgs::new();
        args.set(name, value);
        self.counted(key, &args)
    }

    /// The text of `key` with two values in it.
    pub fn t2<'a>(&self, key: &str, a: (&'a str, impl Into<FluentValue<'a>>), b: (&'a str, impl Into<FluentValue<'a>>)) -> String {
        let mut args = FluentArgs::new();
        args.set(a.0, a.1);
        args.set(b.0, b.1);
        self.counted(key, &args)
    }

    /// The text of `key`, or `fallback` where there is none: for words that come from outside (a new reason, a new event).
    pub fn or(&self, key: &str, fallback: &str) -> String {
        if self.has(key) { self.t(key) } else { fallback.to_owned() }
    }

    /// The text of `key` with every value left as `{name}`, for scripts that fill it in.
    pub fn pattern(&self, key: &str) -> String {
        let mut args = FluentArgs::new();
        for name in ["n", "time", "seconds", "name", "total", "words", "value"] {
            args.set(name, format!("{{{name}}}"));
        }
        self.format(key, Some(&args))
    }

    /// Of one thing it is said as of one, where there is such a form. Fluent's own plurals want numbers, and ours come as they are shown.
    fn counted(&self, key: &str, args: &FluentArgs<'_>) -> String {
        let is_one = match args.get("n") {
            Some(FluentValue::String(shown)) => shown == "1",
            Some(FluentValue::Number(number)) => number.value == 1.0,
            _ => false,
        };
        let of_one = is_one.then(|| of_one(key)).filter(|key| self.has(key));
        self.format(of_one.as_deref().unwrap_or(key), Some(args))
    }

    /// Whether there is a text of this key.
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    fn format(&self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|message| message.value()) else {
            // A test finds every key; a reader still gets something to hold on to.
            return key.to_owned();
        };
        let mut problems = Vec::new();
        self.bundle.format_pattern(pattern, args, &mut problems).into_owned()
    }
}

fn load(lang: &'static str, dir: &'static str, name: &'static str, source: &str, transform: Option<fn(&str) -> Cow<'_, str>>) -> Texts {
    let resource = FluentResource::try_new(source.to_owned()).expect("the built-in texts parse, a test reads them");
    let id: LanguageIdentifier = lang.parse().expect("the built-in language tags are well-formed");
    let mut bundle = FluentBundle::new_concurrent(vec![id]);
    // Left to right, values need no marks, which would only disturb copying; right to left, "$ 0.72" would read backwards without.
    bundle.set_use_isolating(dir == "rtl");
    bundle.set_transform(transform);
    bundle.add_resource(resource).expect("no key is defined twice, a test reads them");
    if source != ENGLISH {
        // What is not translated is shown in English: a key that is there stays, and is told as a mistake that it is not.
        let english = FluentResource::try_new(ENGLISH.to_owned()).expect("the built-in texts parse, a test reads them");
        let _ = bundle.add_resource(english);
    }
    Texts { lang, dir, name, bundle }
}

/// Accents on every letter and vowels doubled; `{placeholders}` never pass here.
fn accent(text: &str) -> Cow<'_, str> {
    const PLAIN: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const ACCENTED: &str = "ȧƀƈḓḗƒɠħīĵķŀḿƞǿƥɋřşŧŭṽẇẋẏẑȦƁƇḒḖƑƓĦĪĴĶĿḾȠǾƤɊŘŞŦŬṼẆẊẎẐ";
    let mut out = String::with_capacity(text.len() * 3);
    for letter in text.chars() {
        let shown = PLAIN
            .chars()
            .position(|plain| plain == letter)
            .and_then(|place| ACCENTED.chars().nth(place));
        out.push(shown.unwrap_or(letter));
        if "aeou".contains(letter) {
            out.push(shown.unwrap_or(letter));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_saved_language_wins_over_the_browsers() {
        assert_eq!(negotiate(Some("en-XB"), Some("en")).lang, "en-XB");
        assert_eq!(negotiate(None, Some("fr-CH, en-XA;q=0.8")).lang, "en-XA");
        assert_eq!(negotiate(None, Some("ar-EG,ar;q=0.9,en;q=0.5")).lang, "ar");
        assert_eq!(negotiate(None, Some("de-CH, es;q=0.8")).lang, "de");
        assert_eq!(negotiate(None, Some("en-GB,en;q=0.9")).lang, "en");
        assert_eq!(negotiate(Some("nonsense"), None).lang, "en");
    }

    #[test]
    fn the_pseudo_locale_changes_words_and_keeps_values() {
        let pseudo = negotiate(Some("en-XA"), None);
        let text = pseudo.t1("fresh-complete", "time", "14:03:05");
        assert!(text.contains("14:03:05"), "{text}");
        assert!(!text.contains("Complete"), "{text}");
    }

    #[test]
    fn of_one_thing_it_is_said_as_of_one() {
        let texts = negotiate(Some("en"), None);
        assert_eq!(texts.t1("talk-turns", "n", "1"), "1 turn");
        assert_eq!(texts.t1("talk-turns", "n", 1), "1 turn");
        assert_eq!(texts.t1("talk-turns", "n", "0"), "0 turns");
        assert_eq!(texts.t1("talk-turns", "n", "1,001"), "1,001 turns");
        assert_eq!(texts.t2("transfers-today", ("n", "1"), ("total", "0")), "1 transfer, 0 bridged");
        let german = negotiate(Some("de"), None);
        assert_eq!(german.t1("new-turns", "n", "1"), "1 neue Äußerung");
    }

    /// Keys of a source with the values that each of them takes.
    fn keys(source: &str) -> std::collections::BTreeMap<String, std::collections::BTreeSet<String>> {
        let mut keys = std::collections::BTreeMap::new();
        let mut last = String::new();
        for line in source.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            if !line.starts_with([' ', '}']) {
                line.split(" =").next().unwrap_or_default().clone_into(&mut last);
            }
            let taken: &mut std::collections::BTreeSet<String> = keys.entry(last.clone()).or_default();
            let names = line
                .split('$')
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next());
            taken.extend(names.map(str::to_owned));
        }
        keys
    }

    #[test]
    fn every_language_has_the_keys_of_english_and_takes_the_same_values() {
        let english = keys(ENGLISH);
        assert!(english.len() > 300);
        for (lang, source) in [
            ("es", include_str!("../locales/es.ftl")),
            ("de", include_str!("../locales/de.ftl")),
            ("ar", include_str!("../locales/ar.ftl")),
        ] {
            let own = keys(source);
            for (key, taken) in &english {
                // Counted forms may say a number in a word.
                let found = own.get(key);
                assert!(
                    found.is_some_and(|found| found == taken),
                    "{lang}: {key} takes {taken:?}, not {found:?}"
                );
            }
        }
    }
}
