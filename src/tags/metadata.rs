//! What is asked for, and what comes of it.

use jiff::Timestamp;

use super::error::TagsError;
use super::event::{Event, Repository};
use super::flavor::Flavor;
use super::images::ImageName;
use super::labels::labels;
use super::line::{Input, Line, lines};
use super::rule::Rule;
use super::template::{Scope, Template, TemplateError};
use super::version::{Version, sanitised};

/// The action's inputs, as they are written: each value a line, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The images that get tags.
    pub images: Vec<String>,
    /// The rules.
    pub tags: Vec<String>,
    /// What holds for all tags.
    pub flavor: Vec<String>,
    /// Labels, `key=value`.
    pub labels: Vec<String>,
    /// Annotations, `key=value`.
    pub annotations: Vec<String>,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The images that get tags.
    pub images: Vec<ImageName>,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<Rule>,
    /// What holds for all tags.
    pub flavor: Flavor,
    labels: Vec<Line>,
    annotations: Vec<Line>,
    /// How many characters of a commit's id are a short one.
    pub short_length: usize,
}

/// What an image is called and labelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What the rules gave.
    pub version: Version,
    /// The tags behind each image's name; alone where there is no image.
    pub tags: Vec<String>,
    /// The tags alone.
    pub tag_names: Vec<String>,
    /// The labels, in order.
    pub labels: Vec<(String, String)>,
    /// The annotations, in order.
    pub annotations: Vec<(String, String)>,
    /// Why rules that could have given a tag gave none.
    pub warnings: Vec<String>,
}

/// As many characters of a commit's id the action takes where it is not told otherwise.
pub(super) const SHORT_LENGTH: usize = 7;

impl Request {
    /// Returns what `inputs` ask for.
    ///
    /// # Errors
    ///
    /// Fails on the first line that can't be read.
    pub fn read(inputs: &Inputs) -> Result<Self, TagsError> {
        Ok(Self {
            images: ImageName::read_all(&lines(Input::Images, &inputs.images))?,
            rules: Rule::read_all(&lines(Input::Tags, &inputs.tags))?,
            flavor: Flavor::read(&lines(Input::Flavor, &inputs.flavor))?,
            labels: lines(Input::Labels, &inputs.labels),
            annotations: lines(Input::Annotations, &inputs.annotations),
            short_length: SHORT_LENGTH,
        })
    }

    /// Returns the tags, labels and annotations for `event` in `repository` at `now`.
    ///
    /// # Errors
    ///
    /// Fails on the first line that can't be filled in.
    pub fn metadata(
        &self,
        event: &Event,
        repository: &Repository,
        now: Timestamp,
    ) -> Result<Metadata, TagsError> {
        let given =
            Given { event, repository, now, flavor: &self.flavor, short_length: self.short_length };
        let mut warnings = Vec::new();
        let version = Version::of(&self.rules, &given, &mut warnings)?;
        let tag_names = self.tag_names(&version);
        let main = version.main.as_deref().unwrap_or_default();
        Ok(Metadata {
            labels: labels(&given, main, &self.labels)?,
            annotations: labels(&given, main, &self.annotations)?,
            tags: self.with_names(&tag_names),
            tag_names,
            version,
            warnings,
        })
    }

    fn tag_names(&self, version: &Version) -> Vec<String> {
        let mut names: Vec<String> = version.main.iter().chain(&version.partial).cloned().collect();
        if version.latest {
            names.push(sanitised(&self.flavor.latest_tag()));
        }
        names
    }

    fn with_names(&self, tags: &[String]) -> Vec<String> {
        let enabled: Vec<_> = self.images.iter().filter(|image| image.is_enabled).collect();
        if enabled.is_empty() {
            return tags.to_vec();
        }
        let of = |image: &&ImageName| {
            let name = image.lowercase();
            tags.iter().map(move |tag| format!("{name}:{tag}"))
        };
        enabled.iter().flat_map(of).collect()
    }

    /// Returns the lines of both labels and annotations.
    pub(super) fn stated_labels(&self) -> impl Iterator<Item = &Line> {
        self.labels.iter().chain(&self.annotations)
    }
}

/// What the rules and templates are given.
pub(super) struct Given<'a> {
    pub(super) event: &'a Event,
    pub(super) repository: &'a Repository,
    pub(super) flavor: &'a Flavor,
    pub(super) now: Timestamp,
    pub(super) short_length: usize,
}

impl Given<'_> {
    /// Returns the template `text`, filled in with what every input can name.
    pub(super) fn render(&self, text: &str) -> Result<String, TemplateError> {
        Template::parse(text)?.render(&self.scope())
    }

    /// Returns the clock and when the commit was made; the clock again where that is not known.
    pub(super) fn dates(&self) -> (Timestamp, Timestamp) {
        (self.now, self.event.committed.unwrap_or(self.now))
    }

    pub(super) fn short_sha(&self) -> &str {
        let sha = &self.event.sha;
        sha.get(..self.short_length).unwrap_or(sha)
    }

    fn scope(&self) -> Scope {
        let event = self.event;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let is_default = event.is_on_default_branch();
        let values = vec![
            ("branch", text(event.branch())),
            ("tag", text(event.tag())),
            ("sha", self.short_sha().to_owned()),
            ("base_ref", event.base.clone()),
            ("is_default_branch", is_default.to_string()),
            ("is_not_default_branch", (!is_default).to_string()),
        ];
        Scope { values, dates: Some(self.dates()) }
    }
}
