//! Edits `images` of a kustomization file and leaves every other byte alone.
//!
//! A change first becomes the list of entries that the file shall state. Then single edits, each a
//! few byte patches, bring the text there: one field, one entry at a time, in the file's own style.
//! What comes out is read back, and must be the old document with that list and nothing else
//! changed, or the edit is refused. Reading and writing the file is the caller's business.

mod change;
mod fields;
mod list;
mod prove;
mod refuse;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use super::kustomization::{Field, ImageEntry, Kustomization, KustomizationError};
use crate::yaml::{self, Patch, Refusal};

pub use change::{ImageChange, Setting};
pub(super) use refuse::refuse_duplicates;

use refuse::{refuse_unknown_shapes, refused};

/// What an edit made of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The whole file afterwards.
    pub bytes: Vec<u8>,
    /// Whether anything is different.
    pub changed: bool,
    /// The entries of `images` afterwards.
    pub images: Vec<ImageEntry>,
}

/// Why a file is not edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It can't be read.
    #[error(transparent)]
    Read(#[from] KustomizationError),
    /// Two entries have the same name.
    #[error("line {second}: image `{name}` is on line {first} already; keep one of the entries")]
    Duplicate {
        /// The name.
        name: String,
        /// The line of the one entry.
        first: usize,
        /// The line of the other.
        second: usize,
    },
    /// It is written in a way that can't be edited safely.
    #[error("line {line}: {reason}")]
    Refused {
        /// The line.
        line: usize,
        /// What is in the way.
        reason: String,
    },
    /// No change was asked for.
    #[error("no image specified; expected NAME=NEWNAME:TAG or one of its short forms")]
    NoArguments,
    /// An argument is not a change.
    #[error(
        "`{argument}` changes nothing; expected NAME:TAG, NAME@DIGEST, NAME:TAG@DIGEST, \
         or NAME=NEWNAME with or without them"
    )]
    Argument {
        /// The argument.
        argument: String,
    },
}

impl From<Refusal> for EditError {
    fn from(Refusal { line, reason }: Refusal) -> Self {
        Self::Refused { line, reason }
    }
}

impl EditError {
    /// Returns the line of the file that the error is about, if it is about one.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Read(error) => error.line(),
            Self::Duplicate { second: line, .. } | Self::Refused { line, .. } => Some(*line),
            Self::NoArguments | Self::Argument { .. } => None,
        }
    }
}

/// Returns the kustomization file `text` with `changes` made, one after another. Where nothing has
/// to change the bytes come back as they are.
///
/// A pinned image is written as `newTag` and `digest`, so that people can read it; kustomize renders
/// `name:tag@digest` from that, and the digest decides what runs.
///
/// # Errors
///
/// Fails if the file can't be read, has two entries of one name, or is written in a way that can't
/// be edited with certainty: several documents, anchors and aliases in an entry that changes.
pub fn set_images(text: &[u8], changes: &[ImageChange]) -> Result<Edit, EditError> {
    edit(text, |file| {
        refuse_duplicates(file)?;
        let mut entries = file.images().to_vec();
        for change in changes {
            change.apply(&mut entries, file)?;
        }
        Ok(Plan { entries, arrange: false })
    })
}

/// What a file shall state.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The entries of `images`. Unless they are arranged, the file's own come first and in order.
    pub(super) entries: Vec<ImageEntry>,
    /// Whether names are unique and the order counts, so that entries may go or move.
    pub(super) arrange: bool,
}

/// Returns `bytes` edited so that they state what `plan` makes of them, with proof.
pub(super) fn edit(
    bytes: &[u8],
    plan: impl Fn(&Kustomization) -> Result<Plan, EditError>,
) -> Result<Edit, EditError> {
    let before = Kustomization::parse_only(bytes)?;
    refuse_unknown_shapes(&before)?;
    let plan_before = plan(&before)?;
    let after = carry_out(&before, &plan_before)?;
    let images = after.images().to_vec();
    if after.document().text() == before.document().text() {
        return Ok(Edit { bytes: bytes.to_owned(), changed: false, images });
    }
    prove::only_images_differ(&before, &after, &plan_before)?;
    let again = plan(&after)?.entries;
    if again.len() != images.len() || !again.iter().zip(&images).all(|(a, b)| a.agrees(b)) {
        return Err(refused(before.document(), 0, "the change would not hold still"));
    }
    Ok(Edit { bytes: after.document().text().as_bytes().to_owned(), changed: true, images })
}

/// Takes steps until there is none left to take: as many at a time as go together, since each time
/// the whole file is read again.
fn carry_out(before: &Kustomization, plan: &Plan) -> Result<Kustomization, EditError> {
    let mut current = before.clone();
    let mut at_a_time = usize::MAX;
    for _ in 0..16 + 12 * (plan.entries.len() + before.images().len()) {
        if let Some(step) = arrange(&current, plan)? {
            current = take(&current, &step)?;
            continue;
        }
        let pending = pending(&current, plan);
        let Some(first) = pending.first() else { return Ok(current) };
        let together: Vec<_> =
            pending.iter().take_while(|next| next.goes_with(first)).take(at_a_time).collect();
        if together.len() == 1 {
            current = take(&current, &first.step(&current)?)?;
            at_a_time = at_a_time.saturating_mul(2).max(2);
            continue;
        }
        match take_together(&current, plan, &together, pending.len())? {
            Some(after) => {
                current = after;
                at_a_time = at_a_time.saturating_mul(2);
            }
            None => at_a_time = together.len() / 2,
        }
    }
    Err(refused(before.document(), 0, "the entries of `images` can't be told apart"))
}

/// A step: ways to write it, best first, each a list of patches.
type Step = yaml::splice::Ways;

/// Returns the file after `step`, written in the first way that reads back with the rest unchanged.
fn take(current: &Kustomization, step: &Step) -> Result<Kustomization, EditError> {
    let document = current.document();
    let at = step.iter().flatten().map(|patch| patch.span.start).min().unwrap_or_default();
    let reason =
        "this can't be edited without changing more than the image; write it in a plainer way";
    step.iter()
        .find_map(|patches| attempt(current, patches))
        .ok_or_else(|| refused(document, at, reason))
}

fn attempt(current: &Kustomization, patches: &[Patch]) -> Option<Kustomization> {
    let document = current.document();
    let text = yaml::apply(document.text(), patches).ok()?;
    let after = Kustomization::parse_only(text.as_bytes()).ok()?;
    let is_new = text != document.text();
    (is_new && prove::same_outside_images(document, after.document())).then_some(after)
}

/// Returns the file after the steps, or `None` if they don't go together.
fn take_together(
    current: &Kustomization,
    plan: &Plan,
    steps: &[&Pending<'_>],
    pending_before: usize,
) -> Result<Option<Kustomization>, EditError> {
    let mut patches = Vec::new();
    for step in steps {
        match step.step(current)?.as_slice() {
            [only] => patches.extend(only.iter().cloned()),
            _ => return Ok(None),
        }
    }
    let after = attempt(current, &patches);
    Ok(after.filter(|after| pending(after, plan).len() + steps.len() == pending_before))
}

/// Returns the step that takes away an entry that goes, or brings entries into their order.
fn arrange(file: &Kustomization, plan: &Plan) -> Result<Option<Step>, EditError> {
    let current = file.images();
    if !plan.arrange {
        return Ok(None);
    }
    let mut seen = HashSet::new();
    let is_repeated = |(_, entry): &(usize, &ImageEntry)| !seen.insert(entry.name.clone());
    let repeated: Vec<_> = current.iter().enumerate().filter(is_repeated).collect();
    if let Some((index, _)) = repeated.last() {
        return list::remove(file, *index).map(Some);
    }
    let ranks: HashMap<&str, usize> =
        plan.entries.iter().enumerate().map(|(rank, e)| (e.name.as_str(), rank)).collect();
    let mut order: Vec<usize> = (0..current.len()).collect();
    order.sort_by_key(|&i| ranks.get(current[i].name.as_str()));
    Ok(match order.is_sorted() {
        true => None,
        false => Some(list::rearrange(file, &order)?),
    })
}

/// Something that is still to do.
enum Pending<'a> {
    /// An entry is missing before the one at the index.
    Insert(usize, &'a ImageEntry),
    /// A field of the entry at the index is missing or says something else.
    Set(usize, Field, &'a ImageEntry),
    /// A field of the entry at the index is to go.
    Clear(usize, Field),
}

impl Pending<'_> {
    /// Whether both can be written into the same text; the first entry of a list makes the list.
    fn goes_with(&self, first: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(first)
    }

    fn step(&self, file: &Kustomization) -> Result<Step, EditError> {
        match self {
            Self::Insert(index, entry) => list::insert(file, *index, entry),
            Self::Set(index, field, entry) => {
                fields::change(file, *index, *field, entry.get(*field))
            }
            Self::Clear(index, field) => fields::change(file, *index, *field, None),
        }
    }
}

/// Returns what is still to do to bring `file`, whose entries are in order, to `plan`. A field is set
/// before one is cleared, so that a new field finds its place beside the old one.
fn pending<'a>(file: &Kustomization, plan: &'a Plan) -> Vec<Pending<'a>> {
    let current = file.images();
    let (mut inserts, mut sets, mut clears) = (Vec::new(), Vec::new(), Vec::new());
    let mut index = 0;
    for wanted in &plan.entries {
        let Some(entry) = current.get(index).filter(|entry| entry.name == wanted.name) else {
            inserts.push(Pending::Insert(index, wanted));
            continue;
        };
        for field in Field::ALL.into_iter().filter(|f| entry.get(*f) != wanted.get(*f)) {
            match wanted.get(field) {
                Some(_) => sets.push(Pending::Set(index, field, wanted)),
                None => clears.push(Pending::Clear(index, field)),
            }
        }
        index += 1;
    }
    inserts.into_iter().chain(sets).chain(clears).collect()
}
