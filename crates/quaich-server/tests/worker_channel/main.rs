//! Both ends of the worker channel at work: a front thread with its runtime, workers as threads or
//! as processes, real eventfds, sockets and shared memory between them.

mod answers;
mod faults;
mod lies;
mod processes;
mod rig;
