//! A list that nearly always is empty: it takes one pointer, because every live call has several of them.

use std::ops::Deref;

/// The list; read as a slice.
#[derive(Debug, Clone)]
pub(super) struct Seldom<T>(Option<Box<Entries<T>>>);

#[derive(Debug, Clone)]
struct Entries<T>(Vec<T>);

impl<T> Default for Seldom<T> {
    fn default() -> Seldom<T> {
        Seldom(None)
    }
}

impl<T> Seldom<T> {
    pub fn push(&mut self, entry: T) {
        self.0.get_or_insert_with(|| Box::new(Entries(Vec::new()))).0.push(entry);
    }

    /// Gives spare memory back.
    pub fn shrink_to_fit(&mut self) {
        if let Some(entries) = &mut self.0 {
            entries.0.shrink_to_fit();
        }
    }

    pub fn heap_bytes(&self) -> usize {
        let of = |entries: &Entries<T>| size_of::<Entries<T>>() + entries.0.capacity() * size_of::<T>();
        self.0.as_deref().map_or(0, of)
    }
}

impl<T> Deref for Seldom<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], |entries| &entries.0)
    }
}

impl<T> From<Vec<T>> for Seldom<T> {
    fn from(entries: Vec<T>) -> Seldom<T> {
        Seldom((!entries.is_empty()).then(|| Box::new(Entries(entries))))
    }
}
