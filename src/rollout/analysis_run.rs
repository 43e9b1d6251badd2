//! Argo Rollouts' AnalysisRun: the metric that decided it, and what was measured.
//!
//! See argo-rollouts `pkg/apis/rollouts/v1alpha1/analysis_types.go`, `MetricResult`.

use serde_json::Value;

use crate::k8s::Object;

/// The metric that an AnalysisRun came to its end by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DecidingMetric<'a> {
    run: &'a Object,
    result: &'a Value,
}

impl<'a> DecidingMetric<'a> {
    /// Returns the worst metric of `run`, or `None` if none speaks against it. One that is measured for
    /// a trial (`dryRun`) decides nothing.
    pub(super) fn of(run: &'a Object) -> Option<Self> {
        let counts = |result: &&Value| result.get("dryRun") != Some(&Value::Bool(true));
        let results = run.list("/status/metricResults").iter().filter(counts);
        let ranked = results.filter_map(|result| Some((rank(text(result, "phase"))?, result)));
        let (_, result) = ranked.min_by_key(|(rank, _)| *rank)?;
        Some(Self { run, result })
    }

    /// Returns `Failed`, `Error` or `Inconclusive`.
    pub(super) fn phase(self) -> &'a str {
        text(self.result, "phase")
    }

    /// Returns how many measurements came out like that.
    pub(super) fn count(self) -> i64 {
        let key = match self.phase() {
            "Failed" => "failed",
            "Error" => "error",
            _ => "inconclusive",
        };
        self.result.get(key).and_then(Value::as_i64).unwrap_or(1).max(1)
    }

    /// Returns when it was measured last, or empty.
    pub(super) fn measured_at(self) -> &'a str {
        self.last().map(|last| text(last, "finishedAt")).unwrap_or_default()
    }

    /// Returns what was measured and what was asked for, in words.
    pub(super) fn told(self) -> String {
        let name = text(self.result, "name");
        let of_last = |key| self.last().map(|last| text(last, key)).unwrap_or_default();
        let said = [text(self.result, "message"), of_last("message")];
        let said = said.into_iter().find(|said| !said.is_empty());
        if self.phase() == "Error" {
            let why = said.unwrap_or("no message");
            return format!("metric `{name}` can't be measured: {why}");
        }
        match (of_last("value"), said) {
            ("", None) => format!("metric `{name}`: no message"),
            ("", Some(said)) => format!("metric `{name}`: {said}"),
            (value, _) => format!("metric `{name}` measured {value}{}", self.asked()),
        }
    }

    fn asked(self) -> String {
        let name = text(self.result, "name");
        let metric = self.run.list("/spec/metrics").iter().find(|m| text(m, "name") == name);
        let stated = |key| metric.map(|m| text(m, key)).filter(|condition| !condition.is_empty());
        match (self.phase(), stated("successCondition"), stated("failureCondition")) {
            ("Inconclusive", Some(success), Some(failure)) => {
                format!(", which is neither `{success}` nor `{failure}`")
            }
            (_, Some(success), _) => format!(", and `{success}` is asked for"),
            (_, None, Some(failure)) => format!(", and `{failure}` is a failure"),
            _ => String::new(),
        }
    }

    /// The last measurement that came out as the metric did, else the last.
    fn last(self) -> Option<&'a Value> {
        let all = self.result.get("measurements")?.as_array()?;
        let alike = all.iter().rev().find(|m| text(m, "phase") == self.phase());
        alike.or_else(|| all.last())
    }
}

// argo-rollouts `utils/analysis/helpers.go`, `IsWorse`.
fn rank(phase: &str) -> Option<usize> {
    ["Failed", "Error", "Inconclusive"].iter().position(|worse| *worse == phase)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(metrics: &str, results: &str, expected: &str) {
        let run = format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: AnalysisRun, spec: {{metrics: {metrics}}}, status: {{metricResults: {results}}}}}"
        );
        let run = Object::read_first(&run).unwrap();
        let told = DecidingMetric::of(&run).map(DecidingMetric::told).unwrap_or_default();
        assert_eq!(told, expected, "{results}");
    }

    #[test]
    fn the_worst_metric_decides_and_a_trial_does_not() {
        let fine = "{name: latency, phase: Successful}";
        let errors = "{name: errors, phase: Failed, failed: 2, measurements: [{phase: Failed, value: '0.31'}, {phase: Successful, value: '0.01'}]}";
        let failed = format!("[{fine}, {{name: a, phase: Error}}, {errors}]");
        check("[]", &failed, "metric `errors` measured 0.31");
        let success = "[{name: errors, successCondition: result < 0.05}]";
        check(success, &failed, "metric `errors` measured 0.31, and `result < 0.05` is asked for");
        let failure = "[{name: errors, failureCondition: result > 0.1}]";
        check(failure, &failed, "metric `errors` measured 0.31, and `result > 0.1` is a failure");
        let trial = errors.replace("failed: 2", "dryRun: true");
        check("[]", &format!("[{fine}, {trial}]"), "");
    }

    #[test]
    fn what_can_not_be_measured_says_why() {
        let error = "[{name: errors, phase: Error, measurements: [{phase: Error, message: 'dial tcp: no such host'}]}]";
        check("[]", error, "metric `errors` can't be measured: dial tcp: no such host");
        let both = "[{name: errors, successCondition: result < 1, failureCondition: result > 5}]";
        let between = "[{name: errors, phase: Inconclusive, measurements: [{value: '3'}]}]";
        check(
            both,
            between,
            "metric `errors` measured 3, which is neither `result < 1` nor `result > 5`",
        );
        check("[]", "[{name: errors, phase: Failed}]", "metric `errors`: no message");
        check("[]", "[{name: errors, phase: Failed, message: exit 1}]", "metric `errors`: exit 1");
    }
}
