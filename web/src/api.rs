//! `/v1`: what programs ask. Every page stands on the same stores and snapshots.

pub mod api_keys;
pub mod audit;
pub mod board;
pub mod businesses;
pub mod call;
pub mod calls;
pub mod completeness;
pub mod cursor;
pub mod documents;
mod etag;
pub mod form;
pub mod idempotency;
pub mod invitations;
pub mod live;
pub mod me;
pub mod media_type;
mod objects;
pub mod organisation;
pub mod paging;
pub mod people;
pub mod permissions;
pub mod platform;
pub mod query;
pub mod received;
mod refusals;
pub mod seen;
pub mod single_sign_on;
pub mod things;
pub mod tokens;
pub mod tv_links;
pub mod usage;
pub mod webhook_endpoints;
pub mod workspaces;

use actix_web::web;

/// All operations of `/v1` but the stream.
pub fn configure(config: &mut web::ServiceConfig) {
    config
        .service(board::board)
        .service(live::live_calls)
        .service(live::live_call)
        .service(calls::calls)
        .service(call::call)
        .service(call::turns)
        .service(call::events)
        .service(things::metrics)
        .service(businesses::list)
        .service(businesses::create)
        .service(businesses::show)
        .service(businesses::update)
        .service(completeness::completeness)
        .service(things::set_aside)
        .service(received::received)
        .service(usage::usage)
        .service(audit::entries)
        .service(tv_links::list)
        .service(tv_links::create)
        .service(tv_links::show)
        .service(tv_links::revoke)
        .service(webhook_endpoints::list)
        .service(webhook_endpoints::create)
        .service(webhook_endpoints::show)
        .service(webhook_endpoints::update)
        .service(webhook_endpoints::rotate)
        .service(webhook_endpoints::remove)
        .service(workspaces::list)
        .service(workspaces::create)
        .service(workspaces::show)
        .service(workspaces::update)
        .service(workspaces::add_key)
        .service(workspaces::remove_key)
        .service(workspaces::activity)
        .service(workspaces::list_agents)
        .service(workspaces::map_agent)
        .service(workspaces::unmap_agent)
        .service(people::list)
        .service(people::show)
        .service(people::update)
        .service(people::remove)
        .service(people::end_sessions)
        .service(invitations::list)
        .service(invitations::create)
        .service(invitations::show)
        .service(invitations::resend)
        .service(invitations::revoke)
        .service(api_keys::list)
        .service(api_keys::create)
        .service(api_keys::show)
        .service(api_keys::revoke)
        .service(permissions::permissions)
        .service(platform::overview)
        .service(platform::list)
        .service(platform::create)
        .service(platform::show)
        .service(platform::update)
        .service(platform::open)
        .service(platform::close)
        .service(platform::deeds)
        .service(organisation::show)
        .service(organisation::update)
        .service(me::show)
        .service(me::update)
        .service(me::change_password)
        .service(single_sign_on::show)
        .service(single_sign_on::set)
        .service(single_sign_on::check)
        .service(single_sign_on::remove)
        .service(tokens::create)
        .service(tokens::refresh)
        .service(tokens::revoke)
        .service(tokens::keys)
        .service(documents::openapi_json)
        .service(documents::docs_page)
        .service(documents::docs_errors);
}
