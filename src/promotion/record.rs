//! The record of one image in one environment: trailers of a commit.
//!
//! `Deployctl-Service` opens a record, and what follows belongs to it up to the next one, so that
//! one commit can hold records of several services, environments and joined changes.

use jiff::Timestamp;

/// The trailers that deployctl writes.
pub mod key {
    /// The id of the change that the records after it belong to.
    pub const CHANGE: &str = "Deployctl-Change";
    /// Opens a record: the service.
    pub const SERVICE: &str = "Deployctl-Service";
    /// The environment.
    pub const ENVIRONMENT: &str = "Deployctl-Environment";
    /// The image, pinned.
    pub const IMAGE: &str = "Deployctl-Image";
    /// The environment that the image was promoted from.
    pub const FROM: &str = "Deployctl-From";
    /// The commit that the image was built from.
    pub const SOURCE_COMMIT: &str = "Deployctl-Source-Commit";
    /// The repository of that commit.
    pub const SOURCE_REPOSITORY: &str = "Deployctl-Source-Repository";
    /// When that commit was made (RFC 3339).
    pub const SOURCE_TIME: &str = "Deployctl-Source-Time";
    /// The page of the run that made the change.
    pub const RUN: &str = "Deployctl-Run";
    /// Nobody looked whether the image is healthy where it comes from.
    pub const UNPROVEN: &str = "Deployctl-Unproven";
    /// More was allowed to change in the rendered manifests than the images.
    pub const OTHER_CHANGES: &str = "Deployctl-Other-Changes";
    /// A gate that was overridden, and why: `soak: the fix can't wait`.
    pub const OVERRIDE: &str = "Deployctl-Override";
    /// An image that a rollback took back.
    pub const ROLLBACK: &str = "Deployctl-Rollback";
    /// In a ledger: the commit of the manifests repository that was proven healthy.
    pub const VERIFIED: &str = "Deployctl-Verified";
    /// In a ledger: `set` or `released`.
    pub const HOLD: &str = "Deployctl-Hold";
    /// In a ledger: why.
    pub const REASON: &str = "Deployctl-Reason";
}

/// One image that was put into one environment, or, as an entry of a ledger, what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The service.
    pub service: String,
    /// The environment.
    pub environment: String,
    /// The image as the commit says it, pinned unless somebody wrote the trailer by hand.
    pub image: String,
    /// The environment that the image was promoted from.
    pub from: Option<String>,
    /// The commit that the image was built from.
    pub source: Option<RecordedSource>,
    /// The page of the run that made the change.
    pub run: Option<String>,
    /// Whether nobody looked if the image is healthy where it comes from.
    pub unproven: bool,
    /// Whether more was allowed to change in the rendered manifests than the images.
    pub other_changes: bool,
    /// The gates that were overridden.
    pub overrides: Vec<Override>,
    /// The images that were taken back, if it was a rollback: the one that this one replaced comes
    /// last, before it the one that was there when the rollback began, where that was another.
    pub rollback_of: Vec<String>,
    /// The commit of the manifests repository that was proven healthy: see [`super::Verified`].
    pub verified: Option<String>,
    /// What became of a hold: see [`super::Hold`].
    pub hold: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// The commit that an image was built from, as a record holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedSource {
    /// Its id.
    pub commit: String,
    /// The repository that it is in, without credentials.
    pub repository: Option<String>,
    /// When it was committed.
    pub time: Option<Timestamp>,
}

/// A gate that somebody passed although it was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The gate's name.
    pub gate: String,
    /// Why.
    pub reason: String,
}

impl Record {
    /// Returns the record as trailers, in the order in which they are written.
    pub fn trailers(&self) -> Vec<(&'static str, String)> {
        let mut trailers = vec![
            (key::SERVICE, self.service.clone()),
            (key::ENVIRONMENT, self.environment.clone()),
            (key::IMAGE, self.image.clone()),
        ];
        let mut add = |key, value: Option<String>| trailers.extend(value.map(|value| (key, value)));
        add(key::FROM, self.from.clone());
        if let Some(source) = &self.source {
            add(key::SOURCE_COMMIT, Some(source.commit.clone()));
            add(key::SOURCE_REPOSITORY, source.repository.clone());
            add(key::SOURCE_TIME, source.time.map(|time| time.to_string()));
        }
        add(key::RUN, self.run.clone());
        add(key::UNPROVEN, self.unproven.then(|| "true".to_owned()));
        add(key::OTHER_CHANGES, self.other_changes.then(|| "allowed".to_owned()));
        for overridden in &self.overrides {
            add(key::OVERRIDE, Some(format!("{}: {}", overridden.gate, overridden.reason)));
        }
        for image in &self.rollback_of {
            add(key::ROLLBACK, Some(image.clone()));
        }
        add(key::VERIFIED, self.verified.clone());
        add(key::HOLD, self.hold.clone());
        add(key::REASON, self.reason.clone());
        trailers
    }

    /// Returns the records that a commit's trailers hold, in order. What is not deployctl's, or
    /// stands before the first record, is passed over; of a key that is there twice the last counts,
    /// other than of overrides and of what a rollback took back.
    pub fn read(trailers: &[(String, String)]) -> Vec<Self> {
        let mut records: Vec<Self> = Vec::new();
        for (key, value) in trailers {
            if key.eq_ignore_ascii_case(key::SERVICE) {
                records.push(Self { service: value.clone(), ..Self::default() });
            } else if let Some(record) = records.last_mut() {
                record.take(key, value);
            }
        }
        records
    }

    /// Takes over what the trailer says, if it is one of a record's.
    fn take(&mut self, key: &str, value: &str) {
        let is = |name: &str| key.eq_ignore_ascii_case(name);
        let text = || Some(value.to_owned());
        let source = || self.source.clone().unwrap_or_default();
        if is(key::ENVIRONMENT) {
            value.clone_into(&mut self.environment);
        } else if is(key::IMAGE) {
            value.clone_into(&mut self.image);
        } else if is(key::FROM) {
            self.from = text();
        } else if is(key::SOURCE_COMMIT) {
            self.source = Some(RecordedSource { commit: value.to_owned(), ..source() });
        } else if is(key::SOURCE_REPOSITORY) {
            self.source = Some(RecordedSource { repository: text(), ..source() });
        } else if is(key::SOURCE_TIME) {
            self.source = Some(RecordedSource { time: value.parse().ok(), ..source() });
        } else if is(key::RUN) {
            self.run = text();
        } else if is(key::UNPROVEN) {
            self.unproven = value.eq_ignore_ascii_case("true");
        } else if is(key::OTHER_CHANGES) {
            self.other_changes = value.eq_ignore_ascii_case("allowed");
        } else if is(key::OVERRIDE) {
            let (gate, reason) = value.split_once(':').unwrap_or((value, ""));
            let (gate, reason) = (gate.trim().to_owned(), reason.trim().to_owned());
            self.overrides.push(Override { gate, reason });
        } else if is(key::ROLLBACK) {
            self.rollback_of.push(value.to_owned());
        } else if is(key::VERIFIED) {
            self.verified = text();
        } else if is(key::HOLD) {
            self.hold = text();
        } else if is(key::REASON) {
            self.reason = text();
        }
    }
}

/// Returns the ids of the changes that went into a commit with these trailers.
pub fn change_ids(trailers: &[(String, String)]) -> Vec<&str> {
    let changes = trailers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(key::CHANGE));
    changes.map(|(_, id)| id.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(text: &str) -> Vec<(String, String)> {
        let pairs = text.lines().filter_map(|line| line.trim().split_once(": "));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let full = Record {
            service: "web".into(),
            environment: "prod".into(),
            image: format!("registry.example.com/web:1@sha256:{}", "a".repeat(64)),
            from: Some("dev".into()),
            source: Some(RecordedSource {
                commit: "c".repeat(40),
                repository: Some("https://git.example.com/shop/web.git".into()),
                time: Some("2026-11-22T10:00:00Z".parse().unwrap()),
            }),
            run: Some("https://ci.example.com/run/7".into()),
            unproven: true,
            other_changes: true,
            overrides: vec![
                Override { gate: "soak".into(), reason: "the fix: can't wait".into() },
                Override { gate: "freeze".into(), reason: "agreed".into() },
            ],
            rollback_of: vec![
                "registry.example.com/web:2".into(),
                "registry.example.com/web:3".into(),
            ],
            verified: Some("d".repeat(40)),
            hold: Some("set".into()),
            reason: Some("it loses orders".into()),
        };
        let plain = Record {
            service: "api".into(),
            environment: "dev".into(),
            image: "registry.example.com/api:1".into(),
            ..Record::default()
        };
        let records = vec![full, plain];
        let written = records.iter().flat_map(Record::trailers);
        let written: Vec<_> = written.map(|(key, value)| (key.to_owned(), value)).collect();
        assert_eq!(Record::read(&written), records);
    }

    #[test]
    fn a_record_goes_up_to_the_next_one() {
        let read = Record::read(&trailers(
            "Signed-off-by: A <a@example.com>
             Deployctl-Image: belongs/to:nobody
             deployctl-service: web
             Deployctl-Environment: dev
             Deployctl-Source-Time: yesterday
             Reviewed-by: B
             Deployctl-Image: web:1
             Deployctl-Service: api
             Deployctl-Image: api:1
             Deployctl-Image: api:2",
        ));
        let read: Vec<_> = read.iter().map(|r| (&*r.service, &*r.environment, &*r.image)).collect();
        assert_eq!(read, [("web", "dev", "web:1"), ("api", "", "api:2")]);
    }

    #[test]
    fn a_commit_names_the_changes_in_it() {
        let trailers =
            trailers("Deployctl-Change: a1\nDeployctl-Service: web\nDeployctl-Change: b2");
        assert_eq!(change_ids(&trailers), ["a1", "b2"]);
    }
}
