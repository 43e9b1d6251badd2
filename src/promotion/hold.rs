//! A hold: what a rollback sets so that the next run of a pipeline does not undo it. An entry of a
//! ledger, as its release is.

use jiff::Timestamp;

use super::{Record, minute};

/// A hold on a service in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image that stays.
    pub image: String,
    /// The image that was taken back.
    pub taken_back: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The page of the run that set it.
    pub run: Option<String>,
    /// Who set it.
    pub by: String,
    /// When.
    pub since: Timestamp,
}

/// An entry of a ledger of holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldEntry {
    /// The hold was set, whether or not there was one.
    Set(Hold),
    /// There is no hold any more.
    Released,
}

const SET: &str = "set";
const RELEASED: &str = "released";

impl Hold {
    /// Returns the first line of the entry that sets it.
    pub fn subject(&self) -> String {
        format!("Hold {} in {}", self.service, self.environment)
    }

    /// Returns the first line of the entry that releases it.
    pub fn release_subject(&self) -> String {
        format!("Release {} in {}", self.service, self.environment)
    }

    /// Returns the trailers of the entry that sets it. Who and when are the commit's own.
    pub fn trailers(&self) -> Vec<(&'static str, String)> {
        let record = Record {
            image: self.image.clone(),
            run: self.run.clone(),
            rollback_of: self.taken_back.iter().cloned().collect(),
            reason: self.reason.clone(),
            ..self.record(SET)
        };
        record.trailers()
    }

    /// Returns the trailers of the entry that releases it.
    pub fn release_trailers(&self, run: Option<&str>) -> Vec<(&'static str, String)> {
        Record { run: run.map(ToOwned::to_owned), ..self.record(RELEASED) }.trailers()
    }

    /// Returns for example `web is held in prod since 2026-11-22 10:00 UTC by Ada because it loses
    /// orders`.
    pub fn sentence(&self) -> String {
        self.said("is")
    }

    /// Returns [`Hold::sentence`] of a hold that is not in force any more.
    pub fn past_sentence(&self) -> String {
        self.said("was")
    }

    fn said(&self, is: &str) -> String {
        let (service, environment, by) = (&self.service, &self.environment, &self.by);
        let since = minute(self.since);
        let because = match (&self.reason, &self.taken_back) {
            (Some(reason), _) => format!(" because {reason}"),
            (None, Some(image)) => format!(" because {image} was rolled back"),
            (None, None) => String::new(),
        };
        format!("{service} {is} held in {environment} since {since} by {by}{because}")
    }

    fn record(&self, state: &str) -> Record {
        Record {
            service: self.service.clone(),
            environment: self.environment.clone(),
            hold: Some(state.to_owned()),
            ..Record::default()
        }
    }
}

impl HoldEntry {
    /// Returns what an entry with these trailers says, or `None` if it is of another kind.
    pub fn read(trailers: &[(String, String)], by: &str, time: Timestamp) -> Option<Self> {
        let mut record = Record::read(trailers).pop()?;
        if record.hold.as_ref()?.eq_ignore_ascii_case(RELEASED) {
            return Some(Self::Released);
        }
        // What is not understood is a hold: whoever wrote it did not want the next run to go on.
        Some(Self::Set(Hold {
            service: record.service,
            environment: record.environment,
            image: record.image,
            taken_back: record.rollback_of.pop(),
            reason: record.reason,
            run: record.run,
            by: by.to_owned(),
            since: time,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> Hold {
        Hold {
            service: "web".into(),
            environment: "prod".into(),
            image: "registry.example.com/web:1".into(),
            taken_back: Some("registry.example.com/web:2".into()),
            reason: Some("it loses orders".into()),
            run: None,
            by: "Ada".into(),
            since: "2026-11-22T10:00:00Z".parse().unwrap(),
        }
    }

    fn read(trailers: Vec<(&str, String)>) -> Option<HoldEntry> {
        let trailers: Vec<_> = trailers.into_iter().map(|(key, v)| (key.to_owned(), v)).collect();
        HoldEntry::read(&trailers, "Ada", hold().since)
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(read(hold().trailers()), Some(HoldEntry::Set(hold())));
        assert_eq!(read(hold().release_trailers(Some("r"))), Some(HoldEntry::Released));
        assert_eq!(read(Vec::new()), None);
    }

    #[test]
    fn says_who_since_when_and_why() {
        assert_eq!(
            hold().sentence(),
            "web is held in prod since 2026-11-22 10:00 UTC by Ada because it loses orders"
        );
        assert!(hold().past_sentence().starts_with("web was held in prod since 2026-11-22"));
        let silent = Hold { reason: None, ..hold() };
        assert!(silent.sentence().ends_with("because registry.example.com/web:2 was rolled back"));
    }
}
