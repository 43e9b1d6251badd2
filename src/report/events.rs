//! What ops emit, as lines of the conversation.

use crate::ops::Event;

/// Returns the line for `event`, or `None` if it is not worth one at this verbosity.
pub fn line(event: &Event, verbose: u8) -> Option<String> {
    Some(match event {
        Event::Building { service } => format!("building {service}"),
        Event::Affected { service, reason } => format!("{service} has changed: {reason}"),
        Event::NoneChanged { environment } => {
            format!("nothing has changed since {environment} was given its images")
        }
        Event::Reusing { service, image } => {
            format!("{service}: nothing has changed since {image} was built")
        }
        Event::Line(line) => format!("  {line}"),
        Event::Storing { image } => format!("storing {image}"),
        // Each is a bar where somebody watches; a log is not made longer by them.
        Event::Sending { .. } | Event::Sent { .. } => return None,
        Event::Attaching { image } => format!("attaching to {image}"),
        Event::Promoting { service, image } => format!("promoting {service}: {image}"),
        Event::Fetching { remote } if verbose > 0 => format!("fetching {remote}"),
        Event::Fetching { .. } => return None,
        Event::Raced { attempt } => {
            format!(
                "somebody else pushed first; applying the change to the new tip (attempt {})",
                attempt + 1
            )
        }
        Event::Waiting { reason, time } if time.as_secs() >= 2 || verbose > 0 => {
            format!("waiting {} seconds: {reason}", time.as_secs().max(1))
        }
        Event::Waiting { .. } => return None,
        Event::HoldReleased { hold, dry_run: true } => {
            format!("would release the hold: {}", hold.sentence())
        }
        Event::HoldReleased { hold, dry_run: false } => {
            format!("released the hold: {}", hold.past_sentence())
        }
        Event::Warning(text) => format!("warning: {text}"),
        Event::Verify { service, moment } => {
            return super::rollout::event_line(service, &moment.event, verbose);
        }
        Event::Step { number, of, name } => format!("step {number}/{of}: {name}"),
    })
}
