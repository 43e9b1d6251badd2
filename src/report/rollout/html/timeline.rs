//! What happened when: a strip to scale, and the same in words.

use super::{class, prose, text};
use crate::ops::RolloutReport;
use crate::report::rollout::{Tone, told};
use crate::report::text::spelled;

/// Returns the timeline, or nothing if nothing happened.
pub(super) fn render(rollout: &RolloutReport) -> String {
    let moments: Vec<_> = told(rollout).collect();
    if moments.is_empty() {
        return String::new();
    }
    let items: String = moments.iter().map(item).collect();
    let strip = strip(&moments);
    format!("<h3>What happened when</h3>\n{strip}<ol class=\"timeline\">\n{items}</ol>\n")
}

fn item((after, sentence, tone): &(u64, String, Tone)) -> String {
    format!(
        "<li><time>+{}</time><i class=\"{}\"></i><span>{}</span></li>\n",
        spelled(*after),
        class(*tone),
        prose(sentence)
    )
}

fn strip(moments: &[(u64, String, Tone)]) -> String {
    let last = moments.iter().map(|(after, ..)| *after).max().unwrap_or(0).max(1);
    let dots = moments.iter().map(|(after, sentence, tone)| {
        // In thousandths, so that the ends keep a little room.
        let at = 10 + after * 980 / last;
        format!(
            "<circle class=\"{}\" cx=\"{}.{}%\" cy=\"50%\" r=\"6\"><title>+{} {}</title></circle>\n",
            class(*tone),
            at / 10,
            at % 10,
            spelled(*after),
            text(sentence)
        )
    });
    format!(
        "<svg class=\"strip\" role=\"img\" aria-label=\"timeline\">\n\
         <line x1=\"1%\" y1=\"50%\" x2=\"99%\" y2=\"50%\"/>\n{}</svg>\n",
        dots.collect::<String>()
    )
}
