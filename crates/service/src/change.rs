//! Changes of what can also be unset.

/// What is to become of something that there can be or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays as it is.
    #[default]
    Leave,
    /// It is no more.
    Unset,
    /// It becomes this.
    Set(T),
}

impl<T> Change<T> {
    /// The same change of something else, or why there is none.
    ///
    /// # Errors
    /// As the function.
    pub fn try_map<U, E>(self, map: impl FnOnce(T) -> Result<U, E>) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Leave => Change::Leave,
            Self::Unset => Change::Unset,
            Self::Set(value) => Change::Set(map(value)?),
        })
    }

    /// What there is after the change.
    pub fn after(self, before: Option<T>) -> Option<T> {
        match self {
            Self::Leave => before,
            Self::Unset => None,
            Self::Set(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for Change<T> {
    /// As a form says it: an empty field unsets.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unset, Self::Set)
    }
}
