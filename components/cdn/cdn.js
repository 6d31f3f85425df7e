// What nginx's directives cannot say: one address for one page, counters, purging.

import crypto from 'crypto';
import fs from 'fs';

const CODINGS = ['', 'gzip'];
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
// Added to links by others, to follow people. No page depends on them.
const TRACKING = /^(utm_[a-z]+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid)(=|$)/i;

const counts = ngx.shared.counts;

const file = (name) => `${ngx.prefix}/${name}`;

// -- addresses ------------------------------------------------------------------------------------

function address(r) {
    return canonical(r.variables.request_uri);
}

// Of the ways to write an address, one: RFC 3986, 6.2.2. What is asked of the origin is what names
// the answer in the cache, so no name can stand for two answers.
function canonical(text) {
    const parts = text.split('#')[0].replace(/%[0-9a-f]{2}/gi, decoded).split('?');
    const query = parts.slice(1).join('?').split('&').filter((one) => one && !TRACKING.test(one));
    return parts[0] + (query.length ? '?' + query.join('&') : '');
}

function decoded(triplet) {
    const letter = String.fromCharCode(parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(letter) ? letter : triplet.toUpperCase();
}

function key(r) {
    return keyOf(r.variables.address, r.variables.coding);
}

function keyOf(path, coding) {
    return `${generation()} ${coding} ${path}`;
}

// -- purging --------------------------------------------------------------------------------------

// Part of every key: with the next one nothing that was kept is found any more, and what was being
// fetched is kept under the old one. The file outlives this process as the cache does.
function generation() {
    let current = counts.get('generation');
    if (current === undefined) {
        try {
            current = Number(fs.readFileSync(file('generation'))) || 0;
        } catch (e) {
            current = 0;
        }
        counts.set('generation', current);
    }
    return current;
}

function purge(r) {
    if (!authorized(r)) {
        r.headersOut['WWW-Authenticate'] = 'Bearer';
        return answer(r, 401, { error: 'the purge token is missing or wrong' });
    }
    let wanted;
    try {
        wanted = JSON.parse(r.requestText) || {};
    } catch (e) {
        wanted = {};
    }
    if (wanted.all === true) {
        const next = generation() + 1;
        fs.writeFileSync(file('generation.new'), String(next));
        fs.renameSync(file('generation.new'), file('generation'));
        counts.set('generation', next);
        return answer(r, 200, { purged: 'all' });
    }
    const paths = wanted.paths;
    if (!Array.isArray(paths) || !paths.every((one) => typeof one === 'string' && one[0] === '/')) {
        return answer(r, 400, { error: 'say {"paths": ["/…"]} or {"all": true}' });
    }
    return answer(r, 200, { purged: paths.filter(forget) });
}

// Deletes what is kept of one address; whether there was something.
function forget(path) {
    return CODINGS.filter((coding) => {
        const name = crypto.createHash('md5').update(keyOf(canonical(path), coding)).digest('hex');
        try {
            fs.unlinkSync(file(`cache/${name.slice(-1)}/${name.slice(-3, -1)}/${name}`));
            return true;
        } catch (e) {
            return false;
        }
    }).length > 0;
}

// Takes as long for a token that is nearly right as for any other.
function authorized(r) {
    const given = digest(r.headersIn.Authorization || '');
    const token = digest(`Bearer ${fs.readFileSync(file('token'), 'utf8').trim()}`);
    let difference = 0;
    for (let i = 0; i < token.length; i++) {
        difference |= given.charCodeAt(i) ^ token.charCodeAt(i);
    }
    return difference === 0;
}

function digest(text) {
    return crypto.createHash('sha256').update(text).digest('hex');
}

function answer(r, status, body) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, JSON.stringify(body) + '\n');
}

// -- metrics --------------------------------------------------------------------------------------

// Evaluated once for each request, when it is logged: njs has no hook of its own for that.
function count(r) {
    const cache = r.variables.cache;
    const seconds = Number(r.variables.request_time);
    const bound = BOUNDS.find((one) => seconds <= one) || '+Inf';
    counts.incr(`requests ${cache} ${r.variables.status[0]}xx`, 1, 0);
    counts.incr(`bytes ${cache}`, Number(r.variables.bytes_sent), 0);
    counts.incr(`seconds ${cache}`, seconds, 0);
    counts.incr(`${bound} ${cache}`, 1, 0);
    return '1';
}

function metrics(r) {
    const names = counts.keys().sort();
    const lines = (first, line) => names.map((name) => name.split(' '))
        .filter((parts) => parts[0] === first)
        .map((parts) => line(parts, counts.get(parts.join(' '))));
    const text = [
        '# HELP etcetera_cdn_requests_total Requests by what the cache had, and class of status.',
        '# TYPE etcetera_cdn_requests_total counter',
    ].concat(
        lines('requests', (p, n) =>
            `etcetera_cdn_requests_total{cache="${p[1]}",status="${p[2]}"} ${n}`),
        '# HELP etcetera_cdn_bytes_total Bytes sent to visitors.',
        '# TYPE etcetera_cdn_bytes_total counter',
        lines('bytes', (p, n) => `etcetera_cdn_bytes_total{cache="${p[1]}"} ${n}`),
        '# HELP etcetera_cdn_request_seconds ' +
            'From the first byte of a request until all it caused is done.',
        '# TYPE etcetera_cdn_request_seconds histogram',
        lines('seconds', (p, n) => histogram(p[1], n)),
    );
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4; charset=utf-8';
    r.return(200, text.join('\n') + '\n');
}

function histogram(cache, sum) {
    const name = 'etcetera_cdn_request_seconds';
    let total = 0;
    const buckets = BOUNDS.concat('+Inf').map((bound) => {
        total += counts.get(`${bound} ${cache}`) || 0;
        return `${name}_bucket{cache="${cache}",le="${bound}"} ${total}`;
    });
    return buckets.concat(
        `${name}_sum{cache="${cache}"} ${sum}`,
        `${name}_count{cache="${cache}"} ${total}`,
    ).join('\n');
}

export default { address, count, key, metrics, purge };
