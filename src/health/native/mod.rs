//! Health rules for custom resources as data: which status and message a kind has, in rows.
//!
//! A [`RuleSet`] says for which group and kinds it is asked, and its rows are asked in order; the
//! first row whose `if` holds decides. If none holds, the next set for the kind is asked. The table
//! that deployctl ships is in `rules/`, a file for a group, and only the file that is asked for is
//! parsed. It says how a project's own API reports its state; Argo CD's scripts are no source of
//! it. Users' rules in `deployctl.yaml` have the same words and are asked before it.
//!
//! ```yaml
//! - group: example.com               # `*` stands for any text: `*.example.com`
//!   kinds: [Database, "*Replica"]    # likewise
//!   versions: [v1, v2]               # left out: all
//!   let:                             # named values, as `$name`
//!     wanted: {field: spec.replicas, default: 1}
//!   rows:
//!   - if: {condition: {type: Ready, status: "False"}}
//!     health: Degraded
//!     message: "{.reason}: {.message}"       # of the condition that was found
//!   - if: {status.readyReplicas: {lt: {field: $wanted}}}
//!     health: Progressing
//!     message: "{status.readyReplicas} of {$wanted} are ready"
//!   - {if: {status.phase: [Running, Idle]}, health: Healthy}
//!   - {health: Progressing, message: Waiting for the database}
//! ```
//!
//! The words are those of the modules `path`, `predicate`, `expression` and `template`. Nothing in them
//! loops or calls: judging an object takes time in proportion to the object.

mod expression;
mod path;
mod predicate;
mod rule;
mod schema;
mod scope;
mod shipped;
mod template;

pub use rule::{RuleSet, RuleSets};

use crate::health::Health;
use crate::k8s::Object;

/// The rules for custom resources: a user's own, and those that deployctl ships.
#[derive(Debug, Clone, Default)]
pub struct Table {
    own: Vec<RuleSet>,
}

impl Table {
    /// Returns the table with rule sets of the user's own, which are asked in order and before the
    /// shipped ones.
    pub fn new(own: Vec<RuleSet>) -> Self {
        Self { own }
    }

    /// Adds rule sets of the user's own, which are asked behind those that are there.
    pub fn extend(&mut self, own: Vec<RuleSet>) {
        self.own.extend(own);
    }

    /// Returns the health by the user's own rules, or `None` if no row for the kind holds.
    pub fn own(&self, object: &Object) -> Option<Health> {
        rule::assess(&self.own, object)
    }

    /// Returns the health by the shipped rules, or `None` if no row for the kind holds.
    pub fn shipped(&self, object: &Object) -> Option<Health> {
        shipped::assess(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::HealthStatus;
    use crate::yaml;

    /// Returns what rows, and named values, say about a status.
    fn judged(set: &str, status: &str) -> Option<Health> {
        let set = set.replace('\n', "\n  ");
        let text = format!("- group: example.com\n  kinds: [Widget]\n  {set}");
        let sets: Vec<RuleSet> = yaml::decode("rules.yaml".into(), &text).unwrap();
        let object = format!(
            "apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w, generation: 2}}\nspec: {{replicas: 3}}\nstatus: {status}\n"
        );
        Table::new(sets).own(&Object::read_first(&object).unwrap())
    }

    fn holds(asked: &str, status: &str) -> bool {
        judged(&format!("rows: [{{if: {asked}, health: Healthy}}]"), status).is_some()
    }

    fn message(template: &str, status: &str) -> String {
        let rows = format!("rows: [{{health: Healthy, message: {template}}}]");
        judged(&rows, status).unwrap().message
    }

    fn error(text: &str) -> String {
        yaml::decode::<Vec<RuleSet>>("rules.yaml".into(), text).unwrap_err().to_string()
    }

    #[test]
    fn the_first_row_that_holds_decides() {
        let rows = "rows:\n- {if: {status.phase: [A, B]}, health: Healthy}\n- {if: {status.phase: B}, health: Degraded}\n- {health: Progressing, message: Wait}";
        assert_eq!(judged(rows, "{phase: B}"), Some(HealthStatus::Healthy.into()));
        assert_eq!(judged(rows, "{}"), Some(HealthStatus::Progressing.because("Wait")));
        assert_eq!(judged("rows: [{if: {status.phase: A}, health: Healthy}]", "{}"), None);
    }

    #[test]
    fn a_value_is_compared_as_the_test_says() {
        let status = "{phase: Ready, n: 2, text: '2', hash: '2e0', flag: true, none: null, list: [a, bc], empty: '', float: 2.0}";
        for asked in [
            "{status.phase: Ready}",
            "{status.n: 2, status.flag: true, status.float: 2}",
            "{status.n: [1, 2]}",
            "{status.n: {eq: {field: status.text}, ge: 2, le: 2, lt: 3, gt: 1, ne: 3}}",
            "{status.text: {lt: 10}}",
            "{status.n: {eq: {field: metadata.generation}}}",
            "{status.n: {lt: {field: spec.replicas}}}",
            "{status.phase: {starts: [Run, Re], ends: dy, contains: ead}}",
            "{status.list: {starts: b}}",
            "{status.none: {exists: false, empty: true}}",
            "{status.empty: {exists: true, empty: true}}",
            "{status.absent: {default: 1, lt: 2}}",
            "{status.absent: {not: {lt: 2}}}",
            "{status.phase: {lt: Sea}}",
            "{'status.list[-1]': bc, 'status.list[0]': a}",
            "{not: {status.phase: Gone}}",
            "{any: [{status.phase: Gone}, {status.n: 2}]}",
        ] {
            assert!(holds(asked, status), "{asked}");
        }
        for asked in [
            "{status.n: '2'}",
            "{status.text: 2}",
            "{status.flag: 'true'}",
            "{status.absent: {ne: 1}}",
            "{status.n: {ne: {field: status.absent}}}",
            "{status.hash: {eq: 2}}",
            "{status.hash: {lt: 3}}",
            "{status.phase: Ready, status.n: 3}",
            "{all: [{status.phase: Ready}, {status.n: 3}]}",
            "{'status.list[-3]': a}",
            "{'status.list[7]': a}",
        ] {
            assert!(!holds(asked, status), "{asked}");
        }
    }

    #[test]
    fn a_message_is_about_the_item_that_was_found() {
        let status = "{conditions: [{type: A, status: 'True', message: a}, {type: B, status: 'False', reason: R, message: b}]}";
        let asked = "{condition: {type: B, status: [False, Unknown], reason: {exists: true}}}";
        let rows = format!(
            "rows: [{{if: {asked}, health: Degraded, message: '{{#}} {{.reason}}: {{.message}}'}}]"
        );
        assert_eq!(judged(&rows, status), Some(HealthStatus::Degraded.because("2 R: b")));
        let nested =
            "{some: {of: status.parents, if: {some: {of: .conditions, if: {.status: 'False'}}}}}";
        let rows = format!(
            "rows: [{{if: {nested}, health: Degraded, message: '{{..name}}: {{.message}}'}}]"
        );
        let status = "{parents: [{name: x, conditions: []}, {name: y, conditions: [{status: 'False', message: m}]}]}";
        assert_eq!(judged(&rows, status), Some(HealthStatus::Degraded.because("y: m")));
    }

    #[test]
    fn every_and_some_are_of_lists_and_of_mappings() {
        let of = |word: &str, asked: &str| format!("{{{word}: {{of: status.racks, if: {asked}}}}}");
        let status = "{racks: {a: {n: 1, ready: 1}, b: {n: 2, ready: 1}}}";
        let ready = "{.n: {eq: {field: .ready}}}";
        assert!(holds(&of("some", ready), status));
        assert!(!holds(&of("every", ready), status));
        assert!(holds(&of("every", ready), "{racks: []}"));
        assert!(!holds(&of("some", ready), "{racks: 3}"));
    }

    #[test]
    fn true_is_a_status_of_conditions_however_it_is_written() {
        for asked in ["True", "'True'", "true"] {
            for status in ["'True'", "true"] {
                let asked = format!("{{condition: {{type: Ready, status: {asked}}}}}");
                assert!(holds(
                    &asked,
                    &format!("{{conditions: [{{type: Ready, status: {status}}}]}}")
                ));
            }
        }
    }

    #[test]
    fn a_template_writes_values_as_text() {
        let status = "{phase: Ready, sha: abcdef0123, n: 2.0, list: [a, 1], map: {a: 1}, 'a/b': c}";
        for (template, text) in [
            ("'is {status.phase|lower}'", "is ready"),
            ("'{status.sha|first 7}{{}}'", "abcdef0{}"),
            ("'{status.none|else nothing}{status.none}'", "nothing"),
            ("'{status.n} {status.list} {status.map}'", "2 a, 1 {\"a\":1}"),
            ("'{status[a/b]}'", "c"),
            ("[a, {if: {status.phase: Ready}, text: b}, {if: {status.phase: No}, text: c}]", "ab"),
        ] {
            assert_eq!(message(template, status), text);
        }
    }

    #[test]
    fn named_values_are_computed_in_order() {
        let set = "let:\n  bad: {count: status.envs, if: {.ok: false}}\n  names: {list: status.envs, if: {.ok: false}, as: '{#}={.name}', join: ', '}\n  total: {sum: 'status.envs[*].n'}\n  rest: {minus: [{field: $total}, {field: spec.replicas}]}\n  one: {first: status.envs, if: {.ok: false}}\nrows:\n- {if: {$bad: {gt: 0}}, health: Degraded, message: '{$bad} {$names} {$total} {$rest} {$one.name}'}";
        let status =
            "{envs: [{name: a, ok: true, n: 1}, {name: b, ok: false, n: 4}, {name: c, ok: false}]}";
        assert_eq!(judged(set, status), Some(HealthStatus::Degraded.because("2 2=b, 3=c 5 2 b")));
    }

    #[test]
    fn an_error_says_where_and_what() {
        let set = |rows: &str| error(&format!("- group: g\n  kinds: [K]\n  rows:\n{rows}"));
        assert_eq!(
            set("  - {if: {status.a: {lessthan: 3}}, health: Healthy}\n"),
            "rules.yaml:4:21: .[0].rows[0].if.status.a: unknown key `lessthan`, expected one of `exists`, `empty`, `not`, `default`, `eq`, `ne`, `lt`, `le`, `gt`, `ge`, `starts`, `ends`, `contains`"
        );
        for (rows, says) in [
            ("  - {health: Fine}\n", "`Fine` is no health"),
            ("  - {if: {phase: A}, health: Healthy}\n", "`phase` is no path"),
            ("  - {if: {status.a.: A}, health: Healthy}\n", "it ends with a dot"),
            ("  - {if: {}, health: Healthy}\n", "expected `condition`"),
            ("  - {health: Healthy, message: '{status.a'}\n", "has a lone `{`"),
            ("  - {health: Healthy, message: '{status.a|cut}'}\n", "`|cut` is none of"),
            ("  - {health: Healthy, message: '{$a}'}\n", "`$a` is not in `let`"),
            ("  - {health: Healthy}\n  - {health: Degraded}\n", "row 1 has no `if`"),
            ("  - {healt: Healthy}\n", "unknown key `healt`"),
            ("  - {if: null, health: Healthy}\n", "for \"always\", leave `if` out"),
            ("  - health: Healthy\n    if:\n", "for \"always\", leave `if` out"),
            (
                "  - {if: {condition: {type: A, if: null}}, health: Healthy}\n",
                "for \"always\", leave `if` out",
            ),
            (
                "  - {if: {status.a: {eq: {count: status.b, if: null}}}, health: Healthy}\n",
                "for \"always\", leave `if` out",
            ),
            (
                "  - {if: {status.a: {eq: {sum: status.a, default: 1}}}, health: Healthy}\n",
                "`default` is for `field`",
            ),
        ] {
            let error = set(rows);
            assert!(error.contains(says) && error.starts_with("rules.yaml:"), "{error}");
        }
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused_where_it_stands() {
        let row = |row: &str| {
            let head =
                "- group: g\n  kinds: [K]\n  rows:\n  - {if: {status.a: 1}, health: Healthy}\n";
            error(&format!("{head}  - {row}\n"))
        };
        assert_eq!(
            row("{if: {.status.phase: A}, health: Healthy}"),
            "rules.yaml:5:5: .[0].rows[1]: `.status.phase` is about an item of a list, and here none is found; a path from the object is written `status.phase`"
        );
        let some = "some: {of: status.items, if: {..x: 1}}";
        for (asked, says) in [
            ("{if: {.phase: A}, health: Healthy}", "`.phase` is about an item of a list"),
            ("{if: {not: {any: [{.spec.x: 1}]}}, health: Healthy}", "is written `spec.x`"),
            (
                "{if: {some: {of: .items, if: {.x: 1}}}, health: Healthy}",
                "`.items` is about an item",
            ),
            (
                &format!("{{if: {{{some}}}, health: Healthy}}"),
                "`..x` begins with more dots than items are found here; write `.x`",
            ),
            ("{if: {status.a: {eq: {field: .b}}}, health: Healthy}", "`.b` is about an item"),
            (
                "{if: {status.a: 2}, health: Healthy, message: '{.reason}'}",
                "`.reason` is about an item",
            ),
            (
                "{if: {not: {condition: {type: A}}}, health: Healthy, message: '{.reason}'}",
                "`.reason` is about",
            ),
        ] {
            let error = row(asked);
            assert!(error.contains(says) && error.starts_with("rules.yaml:5:5:"), "{error}");
        }
        let named =
            error("- {group: g, kinds: [K], let: {a: {field: .b}}, rows: [{health: Healthy}]}");
        assert!(named.contains("`let`, `a`: `.b` is about an item of a list"), "{named}");
        let inside = "{any: [{status.a: 1}, {some: {of: status.items, if: {condition: {type: A}, .b: {eq: {count: .c, if: {..d: 1, ...e: 2}}}}}}]}";
        let set = format!("rows: [{{if: {inside}, health: Healthy, message: '{{.x}}{{..y}}'}}]");
        assert!(
            error(&format!("[{{group: g, kinds: [K], {set}}}]"))
                .contains("`...e` begins with more dots")
        );
        let fine = set.replace("...e", "..e");
        assert_eq!(judged(&fine, "{a: 1}"), Some(HealthStatus::Healthy.into()));
    }

    #[test]
    fn what_can_never_hold_is_refused() {
        for (set, says) in [
            (
                "rows: [{if: {status.a: []}, health: Healthy}]",
                "a list of values has at least one entry",
            ),
            ("rows: [{if: {status.a: {starts: []}}, health: Healthy}]", "has at least one entry"),
            ("rows: [{if: {any: []}, health: Healthy}]", "`any` has at least one entry"),
            ("rows: [{if: {all: []}, health: Healthy}]", "`all` has at least one entry"),
            ("rows: []", "`kinds` and `rows` have at least one entry each"),
            (
                "rows: [{if: {condition: {type: R, status: 'true'}}, health: Healthy}]",
                "the status of a condition is `True`, `False` or `Unknown`",
            ),
            (
                "rows: [{if: {status.a: 1}, health: Healthy}, {if: {status.b: 1}, health: Missing}, {if: {status.a: 1}, health: Degraded}]",
                "row 3 asks what row 1 does, so it never decides",
            ),
            (
                "versions: [example.com/v1], rows: [{health: Healthy}]",
                "`example.com/v1` in `versions` is never met; write `v1`",
            ),
            ("versions: [''], rows: [{health: Healthy}]", "`versions` has an empty entry"),
        ] {
            let error = error(&format!("[{{group: example.com, kinds: [Widget], {set}}}]"));
            assert!(error.contains(says) && error.starts_with("rules.yaml:1:"), "{error}");
        }
        let version = error("[{group: example.com/v1, kinds: [W], rows: [{health: Healthy}]}]");
        assert!(version.contains("write `group: example.com` and"), "{version}");
        let kind = error("[{group: '', kinds: [apps/W], rows: [{health: Healthy}]}]");
        assert!(kind.contains("`apps/W` in `kinds` is never met; write `W`"), "{kind}");
    }

    #[test]
    fn what_is_wrong_with_a_set_is_told_where_it_stands() {
        let good = "- {group: g, kinds: [A], rows: [{health: Healthy}]}\n";
        let bad = "\n- group: g\n  kinds: [Widget]\n  rows: []\n";
        let text = format!("{good}{}{bad}", good.replace("[A]", "[B]"));
        let error = yaml::decode::<RuleSets>("rules.yaml".into(), &text).unwrap_err().to_string();
        assert_eq!(
            error,
            "rules.yaml:4:3: .[2]: rules for `Widget`: `kinds` and `rows` have at least one entry each"
        );
    }

    #[test]
    fn a_set_that_is_never_asked_is_refused() {
        let decide = |sets: &str| {
            let read = yaml::decode::<RuleSets>("rules.yaml".into(), sets);
            read.map(|sets| sets.0.len()).map_err(|error| error.to_string())
        };
        let set = |kinds: &str, row: &str| {
            format!("- {{group: example.com, kinds: {kinds}, rows: [{row}]}}\n")
        };
        let (any, some) = ("{health: Degraded}", "{if: {status.a: 1}, health: Healthy}");
        let error = decide(&(set("['*']", any) + &set("[Widget]", some))).unwrap_err();
        let says = "the rows of entry 2 for `Widget` would never be asked: entry 1 ends with a row without `if`";
        assert!(error.contains(says) && error.starts_with("rules.yaml:2:3:"), "{error}");
        assert_eq!(decide(&(set("[Widget]", some) + &set("['*']", any))), Ok(2));
        assert_eq!(decide(&(set("[Gadget]", any) + &set("[Widget]", some))), Ok(2));
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let rows = "rows: [{health: Healthy}]";
        let text = format!("- {{group: '*.example.com', kinds: ['*Set', A*b], {rows}}}");
        let sets: Vec<RuleSet> = yaml::decode("r".into(), &text).unwrap();
        let judge = |group: &str, kind: &str| {
            let object = format!("{{apiVersion: {group}/v1, kind: {kind}}}");
            rule::assess(&sets, &Object::read_first(&object).unwrap()).is_some()
        };
        assert!(judge("a.b.example.com", "ReplicaSet"));
        assert!(judge("a.example.com", "Axb"));
        assert!(!judge("example.com", "ReplicaSet"));
        assert!(!judge("a.example.com", "SetA"));
    }

    #[test]
    fn a_set_may_be_for_some_versions_of_the_api() {
        let text = "- {group: example.com, kinds: [W], versions: [v1, v1beta*], rows: [{health: Healthy}]}";
        let sets: Vec<RuleSet> = yaml::decode("r".into(), text).unwrap();
        for (version, known) in [("v1", true), ("v1beta2", true), ("v1alpha1", false)] {
            let object = format!("{{apiVersion: example.com/{version}, kind: W}}");
            let health = rule::assess(&sets, &Object::read_first(&object).unwrap());
            assert_eq!(health.is_some(), known, "{version}");
        }
    }
}
