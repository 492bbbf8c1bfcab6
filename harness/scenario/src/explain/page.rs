//! A page of text: titles, sections, wrapped paragraphs.

/// Columns of a page: what fits a terminal beside something else.
const WIDTH: usize = 100;

/// A page that is being written.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
    in_section: bool,
}

impl Page {
    /// A line at the top.
    pub fn title(&mut self, what: &str, text: &str) {
        self.text += &format!("{:<13}{text}\n", format!("{what}:"));
    }

    /// A heading.
    pub fn section(&mut self, heading: &str) {
        self.text += &format!("\n{heading}:\n");
        self.in_section = false;
    }

    /// Text in paragraphs, with a blank line between those of one section.
    pub fn paragraphs(&mut self, indent: usize, text: &str) {
        for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
            if self.in_section {
                self.text.push('\n');
            }
            self.in_section = true;
            self.wrapped(indent, paragraph);
        }
    }

    /// A name on a line of its own, and what it means below it.
    pub fn entry(&mut self, name: &str, text: &str) {
        self.text += &format!("  {name}\n");
        self.wrapped(6, text);
        self.in_section = true;
    }

    /// Lines as they are.
    pub fn verbatim(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            self.text += &format!("{:indent$}{line}\n", "");
        }
    }

    /// The whole text.
    pub fn done(self) -> String {
        self.text
    }

    fn wrapped(&mut self, indent: usize, paragraph: &str) {
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let needed = indent + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && needed > WIDTH {
                self.verbatim(indent, &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        self.verbatim(indent, &line);
    }
}
