//! Building one image while the one before it is stored.
//!
//! One image is built at a time and one is stored at a time, in the order of the services. Nothing more is
//! built while two images wait to be stored, so that the scratch disk need not hold all of them. Both run in
//! one future: who drops it stops both.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::ask::Asked;
use super::documents::Documents;
use super::make::Made;
use super::{BuildError, BuildOptions, Done, Emit, Event};
use crate::image::ImageName;

/// How many images wait to be stored at most, besides the one that is.
const MOST_WAITING: usize = 2;

/// What became of a service, with its place in the list.
pub(super) type Outcome = (usize, Result<Done, BuildError>);

/// Where images go that are built.
pub(super) struct Queue<'a> {
    made: mpsc::Sender<(usize, Made<'a>)>,
    sent: usize,
    names: BTreeSet<ImageName>,
    stored: watch::Receiver<usize>,
}

/// Where images come from that are to be stored.
pub(super) struct Waiting<'a> {
    made: mpsc::Receiver<(usize, Made<'a>)>,
    stored: watch::Sender<usize>,
}

/// Returns both ends of a queue.
pub(super) fn queue<'a>() -> (Queue<'a>, Waiting<'a>) {
    let (sender, receiver) = mpsc::channel(MOST_WAITING);
    let (count, stored) = watch::channel(0);
    let queue = Queue { made: sender, sent: 0, names: BTreeSet::new(), stored };
    (queue, Waiting { made: receiver, stored: count })
}

impl<'a> Queue<'a> {
    /// Returns when the image may be built: when there is a place for it, and what it is built on is where
    /// it goes if that is an image of this run.
    pub(super) async fn ready_for(&mut self, asked: &Asked) {
        if self.names.iter().any(|name| asked.may_be_built_on(name)) {
            let sent = self.sent;
            // An error says that nobody stores any more; then there is nothing to wait for.
            let _ = self.stored.wait_for(|stored| *stored == sent).await;
        }
        // One image is built at a time, so the place stays free until it is.
        let _ = self.made.reserve().await;
    }

    /// Puts the image there.
    pub(super) async fn put(&mut self, number: usize, made: Made<'a>) {
        self.names.insert(made.image.name.clone());
        self.sent += 1;
        let put = self.made.send((number, made)).await;
        put.map_err(drop).expect("images are stored for as long as there is a queue");
    }
}

impl Waiting<'_> {
    /// Stores what comes, until nothing more will, and returns what became of it.
    pub(super) async fn store_all(
        mut self,
        documents: &Documents,
        options: &BuildOptions<'_>,
        emit: Emit<'_>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some((number, made)) = self.made.recv().await {
            let built = made.deliver(documents, options, emit).await;
            outcomes.push((number, built.map(|built| Done::Image(Box::new(built)))));
            self.stored.send_modify(|stored| *stored += 1);
        }
        outcomes
    }
}

/// Keeps what is said of an image that is stored out of what the build of the next one says: it is held
/// back until that ends. How far layers are is shown all the same.
pub(super) struct Turns<'a> {
    emit: Emit<'a>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    is_building: bool,
    events: Vec<Event>,
}

impl<'a> Turns<'a> {
    pub(super) fn new(emit: Emit<'a>) -> Self {
        Self { emit, held: Mutex::default() }
    }

    /// Says something of an image that is stored.
    pub(super) fn aside(&self, event: Event) {
        let passes = matches!(event, Event::Sending { .. } | Event::Sent { .. });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_building && !passes {
            return held.events.push(event);
        }
        drop(held);
        (self.emit)(event);
    }

    /// Returns what `building` does, which has the word meanwhile.
    pub(super) async fn with_the_word<T>(&self, building: impl Future<Output = T>) -> T {
        self.turn(true);
        let result = building.await;
        self.turn(false);
        result
    }

    fn turn(&self, is_building: bool) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.is_building = is_building;
        std::mem::take(&mut held.events).into_iter().for_each(self.emit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_said_of_a_stored_image_comes_before_or_after_a_build_s_lines() {
        let said = Mutex::new(Vec::new());
        let emit = |event| {
            said.lock().unwrap().push(match event {
                Event::Line(text) => text,
                _ => "bar".to_owned(),
            });
        };
        let turns = Turns::new(&emit);
        let blob = crate::image::Digest::of(b"");
        turns.aside(Event::Line("before".to_owned()));
        let building = async {
            emit(Event::Line("step 1".to_owned()));
            turns.aside(Event::Line("held".to_owned()));
            turns.aside(Event::Sent { blob });
            emit(Event::Line("step 2".to_owned()));
        };
        turns.with_the_word(building).await;
        turns.aside(Event::Line("after".to_owned()));
        let expected = ["before", "step 1", "bar", "step 2", "held", "after"];
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
