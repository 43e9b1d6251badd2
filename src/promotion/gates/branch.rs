//! `branch`: the commit that the image was built from is on a branch of its repository.

use super::Said;
use crate::promotion::facts::ServiceFacts;

/// The gate `branch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The branch.
    pub name: String,
}

impl Branch {
    pub(super) fn judge(&self, service: &ServiceFacts) -> Said {
        match &service.is_on_branch {
            Ok(true) => Said::open(format!("the source commit is on {}", self.name)),
            Ok(false) => Said::closed(format!("the source commit is not on {}", self.name)),
            Err(reason) => Said::unknown(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promotion::facts::Facts;
    use crate::promotion::gates::Gate;
    use crate::promotion::gates::facts::{line, service};

    #[test]
    fn the_commit_is_there_or_not() {
        let said = |is_on_branch: Result<bool, String>| {
            let service = ServiceFacts { is_on_branch, ..service() };
            let now = "2026-11-22T12:00:00Z".parse().unwrap();
            let facts = Facts::new(now, Some("dev"), vec![service]);
            line(&Gate::Branch(Branch { name: "main".to_owned() }), &facts)
        };
        assert_eq!(said(Ok(true)), "open: the source commit is on main");
        assert_eq!(said(Ok(false)), "closed: the source commit is not on main");
        assert_eq!(said(Err("it is not known".to_owned())), "unknown: it is not known");
    }
}
