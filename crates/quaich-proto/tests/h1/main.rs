//! The HTTP/1 codec from outside: a corpus of bad and odd inputs, limits, and properties that hold
//! for every input.

mod agreement;
mod corpus;
mod differential;
mod limits;
mod outcome;
mod properties;
mod reference;
