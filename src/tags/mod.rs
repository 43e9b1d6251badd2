//! docker/metadata-action's grammar: which tags, labels and annotations an image gets for what
//! happened at GitHub.
//!
//! [`Request`] is what is asked for, read from the action's own lines; [`Event`] is what happened;
//! [`Request::metadata`] is a function of both and of a clock that comes in as a value. Reading the
//! environment and its files is the caller's business, and so is saying what [`footguns`] finds.
//!
//! Which tags move from one image to the next, and when, is in `moving`.
//!
//! What is said about the action was checked against its commit dc80280 and the packages that it
//! takes its rules from: Handlebars (`template`), moment (`moment`), semver (`semver`) and
//! pep440 (`pep440`). Not supported, and refused by name: Handlebars' `each`, `with`, partials
//! and block helpers of one's own; look-around and back-references in expressions.

mod error;
mod event;
mod flavor;
mod footgun;
mod images;
mod labels;
mod line;
mod metadata;
mod moment;
mod moving;
mod pattern;
mod pep440;
mod rule;
mod semver;
mod template;
mod version;

pub use error::{Problem, TagsError};
pub use event::{Event, Repository};
pub use flavor::{Flavor, Latest};
pub use footgun::{Footgun, footguns};
pub use images::ImageName;
pub use line::{Input, Line};
pub use metadata::{Inputs, Metadata, Request};
pub use moment::format as format_date;
pub use moving::{Course, Mark, MovingTag, MovingTagError, Place, Standing, Stay, likely};
pub use rule::{RefEvent, Rule, RuleKind, ShaFormat};
pub use semver::SemVer;
pub use template::{Template, TemplateError};
pub use version::Version;
