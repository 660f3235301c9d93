//! The floor right now and its load: calls in progress, concurrency, arrivals.

use crate::metric::definition::{Base, Definition, Unit};
use crate::metric::name::Metric as M;

pub(super) const ALL: [Definition; 19] = [
    Definition::gauge(M::CallsInProgress, "Calls in progress", Unit::Calls)
        .formula("voice calls that are connected and not over; dialling calls and chats are shown apart"),
    Definition::gauge(M::CallsDialling, "Dialling", Unit::Calls).formula("voice calls with an id that are not connected yet"),
    Definition::gauge(M::CallsTalking, "Talking with the agent", Unit::Calls)
        .formula("calls in progress without an open or bridged transfer"),
    Definition::gauge(M::CallsTransferring, "In transfer", Unit::Calls)
        .formula("calls in progress with a transfer that has started and has no outcome yet"),
    Definition::gauge(M::CallsWithPerson, "With a person", Unit::Calls)
        .formula("calls with a bridged transfer whose leg has not ended, also when the agent's own leg is over")
        .estimated("a transferred leg whose end Retell never reports leaves when its call leaves memory"),
    Definition::gauge(M::TransfersOpen, "Open transfers", Unit::Transfers)
        .formula("transfers started, without outcome, of calls that are not over"),
    Definition::gauge(M::ConcurrencyUsed, "Concurrency", Unit::Calls)
        .formula("calls in progress beside the concurrency limit of the business; share = used / limit")
        .down(),
    Definition::max(M::ConcurrencyPeak, "Peak concurrency", Base::InState, Unit::Calls)
        .formula("most calls in progress at one moment since the daily reset")
        .estimated("one-second steps: calls that end and begin within the same second count as simultaneous"),
    Definition::mean(M::ConcurrencyMean, "Mean concurrency", Base::InState, Unit::Calls)
        .formula("time spent in progress by all calls / length of the window; stored per call: its time in progress in ms"),
    Definition::max(M::TimeAtLimit, "Time at limit", Base::InState, Unit::Ms)
        .formula("time since the daily reset in which calls in progress reached the concurrency limit")
        .estimated("whole seconds, as the peak")
        .down(),
    Definition::max(M::LongestWait, "Longest wait", Base::Instant, Unit::Ms)
        .formula("now - start of the oldest open transfer")
        .down()
        .target(30_000.0, 60_000.0),
    Definition::count(M::CallsOffered, "Calls offered", Base::Arrival, Unit::Calls)
        .formula("all voice calls attempted: inbound, outbound dials and web calls, blocked ones included"),
    Definition::count(M::CallsAnswered, "Answered", Base::Arrival, Unit::Calls)
        .formula("offered calls that were connected; the AI line takes a connected call at once"),
    Definition::ratio(M::AnswerRate, "Answer rate", Base::Arrival)
        .formula("connected calls / offered calls that are connected or over; dialling calls wait for their outcome")
        .up(),
    Definition::count(M::CallsBlocked, "Blocked", Base::Arrival, Unit::Calls)
        .formula("offered calls that ended in the class blocked: concurrency, payment, budget, scam, inbound hook")
        .down(),
    Definition::ratio(M::BlockingRate, "Blocking rate", Base::Arrival)
        .formula("blocked calls / offered calls")
        .down()
        .target(0.005, 0.02),
    Definition::mean(M::ArrivalRate, "Arrival rate", Base::Arrival, Unit::CallsPerHour)
        .formula("calls offered / hours of the window; on the board the last 15 minutes, so it is a pace, not a total")
        .per(3_600_000),
    Definition::gauge(M::ChatsInProgress, "Chats in progress", Unit::Chats).formula("chats that have begun and are not over"),
    Definition::count(M::ChatsStarted, "Chats started", Base::Arrival, Unit::Chats).formula("all chats that began"),
];
