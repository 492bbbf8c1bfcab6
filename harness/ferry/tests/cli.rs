//! The command line as people meet it: transcripts of whole commands, the README's examples among them.

#[test]
fn transcripts() {
    trycmd::TestCases::new().case("../../README.md").case("tests/cli/*.trycmd");
}
