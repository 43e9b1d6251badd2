//! What verification proved: an entry of a ledger.

use jiff::Timestamp;

use super::Record;

/// An image that was live and healthy in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image, pinned unless somebody wrote the entry by hand.
    pub image: String,
    /// The commit of the manifests repository that was verified.
    pub commit: String,
    /// The page of the run that verified it.
    pub run: Option<String>,
    /// Who verified it.
    pub by: String,
    /// When.
    pub time: Timestamp,
}

impl Verified {
    /// Returns the first line of the entry.
    pub fn subject(&self) -> String {
        format!("{} is healthy in {}", self.service, self.environment)
    }

    /// Returns the entry's trailers. Who and when are the commit's own.
    pub fn trailers(&self) -> Vec<(&'static str, String)> {
        let record = Record {
            service: self.service.clone(),
            environment: self.environment.clone(),
            image: self.image.clone(),
            run: self.run.clone(),
            verified: Some(self.commit.clone()),
            ..Record::default()
        };
        record.trailers()
    }

    /// Returns what an entry with these trailers says, or `None` if it is of another kind.
    pub fn read(trailers: &[(String, String)], by: &str, time: Timestamp) -> Option<Self> {
        let record = Record::read(trailers).pop()?;
        let Record { service, environment, image, run, verified, .. } = record;
        let commit = verified?;
        Some(Self { service, environment, image, commit, run, by: by.to_owned(), time })
    }

    /// Returns whether `other` says the same of the same image.
    pub fn proves_the_same_as(&self, other: &Self) -> bool {
        let of =
            |entry: &Self| (entry.service.clone(), entry.environment.clone(), entry.image.clone());
        of(self) == of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let verified = Verified {
            service: "web".into(),
            environment: "prod".into(),
            image: "registry.example.com/web:1".into(),
            commit: "c".repeat(40),
            run: Some("https://ci.example.com/7".into()),
            by: "Ada".into(),
            time: "2026-11-22T10:00:00Z".parse().unwrap(),
        };
        let trailers: Vec<_> =
            verified.trailers().into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(Verified::read(&trailers, "Ada", verified.time), Some(verified));
        assert_eq!(Verified::read(&trailers[..3], "Ada", Timestamp::UNIX_EPOCH), None);
    }
}
