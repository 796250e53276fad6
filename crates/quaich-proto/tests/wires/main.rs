//! uwsgi, SCGI, FastCGI and heads of CGI: what holds for every input, however it is cut.

mod outcome;
mod properties;
