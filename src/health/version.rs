//! The versions of Argo CD whose verdicts differ.

use std::fmt;
use std::str::FromStr;

/// A minor version of Argo CD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum ArgoCdVersion {
    /// 2.14
    V2_14,
    /// 3.0
    V3_0,
    /// 3.1, the first with a rule for CustomResourceDefinitions.
    V3_1,
    /// 3.2, the first with a rule for CronJobs.
    V3_2,
    /// 3.3
    V3_3,
    /// 3.4, the first in which a single missing resource does not count.
    V3_4,
    /// 3.5, the first without `autoscaling/v2beta1` and `v2beta2`.
    V3_5,
    /// 3.6, the first that says which resources caused the health, and that knows
    /// `ignore-restart-policy`.
    #[default]
    V3_6,
}

/// A text is no version of Argo CD that is known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of 2.14, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6")]
pub struct UnknownVersion;

impl ArgoCdVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 8] = [
        Self::V2_14,
        Self::V3_0,
        Self::V3_1,
        Self::V3_2,
        Self::V3_3,
        Self::V3_4,
        Self::V3_5,
        Self::V3_6,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::V2_14 => "2.14",
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
            Self::V3_2 => "3.2",
            Self::V3_3 => "3.3",
            Self::V3_4 => "3.4",
            Self::V3_5 => "3.5",
            Self::V3_6 => "3.6",
        }
    }
}

impl FromStr for ArgoCdVersion {
    type Err = UnknownVersion;

    /// Reads `3.4`, and also `v3.4.1` as Argo CD says it itself.
    fn from_str(text: &str) -> Result<Self, UnknownVersion> {
        let number = text.strip_prefix('v').unwrap_or(text);
        let is_meant = |version: &Self| {
            let rest = number.strip_prefix(version.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        Self::ALL.into_iter().find(is_meant).ok_or(UnknownVersion)
    }
}

impl fmt::Display for ArgoCdVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_minor_and_patch_versions() {
        for version in ArgoCdVersion::ALL {
            assert_eq!(version.to_string().parse(), Ok(version));
            assert_eq!(format!("v{version}.12").parse(), Ok(version));
        }
        for text in ["", "3", "3.7", "3.40", "2.13", "v3.4-rc1"] {
            assert_eq!(text.parse::<ArgoCdVersion>(), Err(UnknownVersion), "{text}");
        }
    }
}
