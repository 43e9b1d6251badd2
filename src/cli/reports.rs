//! `--report FORMAT=FILE`: reports beside the answer.

use std::str::FromStr;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::CommandError;
use crate::report::Documents;
use crate::system::PendingFile;

/// What `--report` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportArg {
    format: ReportFormat,
    path: Utf8PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReportFormat {
    Junit,
    Markdown,
    Html,
    Json,
}

impl FromStr for ReportArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text.split_once('=').ok_or("expected FORMAT=FILE")?;
        let format = match format {
            "junit" => ReportFormat::Junit,
            "markdown" => ReportFormat::Markdown,
            "html" => ReportFormat::Html,
            "json" => ReportFormat::Json,
            _ => return Err("the formats are junit, markdown, html and json".to_owned()),
        };
        match path {
            "" => Err("expected a file behind the `=`".to_owned()),
            path => Ok(Self { format, path: path.into() }),
        }
    }
}

/// Reports that are written at the end.
#[derive(Debug)]
pub(crate) struct Reports(Vec<(ReportArg, PendingFile)>);

impl Reports {
    /// Returns the reports that `args` name. Older ones of that name are gone.
    ///
    /// # Errors
    ///
    /// Fails if one could not be written, or two would be the same file: who waits ten minutes for a
    /// report must not learn that at the end.
    pub(crate) fn begin(args: &[ReportArg]) -> Result<Self, CommandError> {
        let begin = |(at, arg): (usize, &ReportArg)| {
            if args[..at].iter().any(|other| other.path == arg.path) {
                let message = format!("two reports would go to `{}`", arg.path);
                return Err(CommandError::usage(message, "name a file for each"));
            }
            Ok((arg.clone(), pending(&arg.path)?))
        };
        let reports: Vec<_> = args.iter().enumerate().map(begin).collect::<Result<_, _>>()?;
        // Whoever is interrupted must not find the verdict of another day.
        reports.iter().for_each(|(_, file)| file.clear());
        Ok(Self(reports))
    }

    /// Writes `report` in each format, whatever it says.
    ///
    /// # Errors
    ///
    /// Fails if one can't be written; the others are written all the same.
    pub(crate) fn write(self, report: &dyn Documents) -> Result<(), CommandError> {
        let mut result = Ok(());
        for (ReportArg { format, path }, file) in self.0 {
            let text = match format {
                ReportFormat::Junit => report.junit(),
                ReportFormat::Markdown => report.summary(),
                ReportFormat::Html => report.html(),
                ReportFormat::Json => format!("{}\n", report.json()),
            };
            if let Err(error) = file.finish(text.as_bytes()) {
                let text = format!("can't write the report `{path}`: {error}");
                result = Err(std::io::Error::new(error.kind(), text).into());
            }
        }
        result
    }
}

/// Returns the file of a report, which is written at the end.
///
/// # Errors
///
/// Fails if it could not be.
pub(crate) fn pending(path: &Utf8Path) -> Result<PendingFile, CommandError> {
    let hint = "name a file in a folder that is there and can be written";
    let refused =
        |error| CommandError::usage(format!("can't write the report `{path}`: {error}"), hint);
    PendingFile::begin(path).map_err(refused)
}
