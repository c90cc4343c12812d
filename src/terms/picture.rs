//! Kinds of pictures.

/// A kind of picture that can be told from what is said beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// `image/jpeg`.
    Jpeg,
    /// `image/png`.
    Png,
    /// `image/webp`.
    WebP,
}

impl Picture {
    /// The kind that a media type names.
    #[must_use]
    pub fn of_media_type(name: &str) -> Option<Self> {
        match name {
            "image/jpeg" => Some(Self::Jpeg),
            "image/png" => Some(Self::Png),
            "image/webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }
}
