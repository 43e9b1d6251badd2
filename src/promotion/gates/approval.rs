//! `approval`: named people have approved the pull request that makes the change.

use super::Said;
use crate::promotion::facts::{Fact, Reviews};

/// The gate `approval`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The accounts of those who can approve.
    pub by: Vec<String>,
    /// How many of them must.
    pub count: usize,
}

impl Approval {
    pub(super) fn judge(&self, reviews: &Fact<Reviews>) -> Said {
        let reviews = match reviews {
            Ok(reviews) => reviews,
            Err(reason) => return Said::unknown(reason),
        };
        let Some(url) = &reviews.url else {
            return Said::closed(format!("no pull request is open yet; {}", self.wanted(0)));
        };
        if !reviews.is_current {
            return Said::closed(format!("{url} proposes other images; {}", self.wanted(0)));
        }
        let named: Vec<&str> = reviews.approved_by.iter().map(String::as_str).collect();
        let named: Vec<&str> = named.into_iter().filter(|name| self.names(name)).collect();
        if named.len() < self.count {
            return Said::closed(format!("{}: {url}", self.wanted(named.len())));
        }
        Said::open(format!("approved by {}", named.join(", ")))
    }

    /// GitHub's account names are the same in any case.
    fn names(&self, account: &str) -> bool {
        self.by.iter().any(|name| name.eq_ignore_ascii_case(account))
    }

    fn wanted(&self, given: usize) -> String {
        format!("{given} of {} approvals by {}", self.count, self.by.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::facts::Facts;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::line;

    const URL: &str = "https://git.example.com/pull/7";

    fn said(count: usize, reviews: Fact<Reviews>) -> String {
        let by = ["ada", "Grace"].map(str::to_owned).to_vec();
        let facts = Facts::new("2026-11-22T12:00:00Z".parse().unwrap(), Some("dev"), Vec::new());
        line(&Gate::Approval(Approval { by, count }), &Facts { reviews, ..facts })
    }

    fn pull(is_current: bool, by: &[&str]) -> Fact<Reviews> {
        let approved_by = by.iter().map(|&name| name.to_owned()).collect();
        Ok(Reviews { url: Some(URL.to_owned()), is_current, approved_by })
    }

    #[test]
    fn as_many_of_the_named_people_as_it_takes() {
        for (count, reviews, expected) in [
            (1, vec!["ADA", "eve"], "open: approved by ADA"),
            (2, vec!["ada", "grace"], "open: approved by ada, grace"),
            (2, vec!["ada", "eve"], "closed: 1 of 2 approvals by ada, Grace: URL"),
            (1, vec!["eve"], "closed: 0 of 1 approvals by ada, Grace: URL"),
        ] {
            assert_eq!(said(count, pull(true, &reviews)), expected.replace("URL", URL));
        }
    }

    #[test]
    fn an_approval_of_something_else_is_none() {
        assert_eq!(
            said(1, pull(false, &["ada"])),
            format!("closed: {URL} proposes other images; 0 of 1 approvals by ada, Grace")
        );
        assert_eq!(
            said(1, Ok(Reviews::default())),
            "closed: no pull request is open yet; 0 of 1 approvals by ada, Grace"
        );
        assert_eq!(said(1, Err("no GitHub token".to_owned())), "unknown: no GitHub token");
    }
}
