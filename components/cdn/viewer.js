// CloudFront runs this on each request for a page (runtime cloudfront-js-2.0): one address for one
// page, as cdn.js does on a machine.

// Added to links by others, to follow people. No page depends on them.
const TRACKING = /^(utm_[a-z]+|fbclid|gclid|dclid|msclkid|mc_[ce]id|igshid)$/i;

function handler(event) {
    const request = event.request;
    const host = request.headers.host.value;
    request.uri = request.uri.replace(/%[0-9a-f]{2}/gi, decoded);
    Object.keys(request.querystring)
        .filter((name) => TRACKING.test(name))
        .forEach((name) => delete request.querystring[name]);
    if (request.uri === '/metrics') {
        // They are read in the cluster.
        return { statusCode: 404, statusDescription: 'Not Found' };
    }
    if (host.startsWith('www.')) {
        const location = `https://${host.slice(4)}${request.uri}${query(request.querystring)}`;
        return {
            statusCode: 301,
            statusDescription: 'Moved Permanently',
            headers: {
                location: { value: location },
                'cache-control': { value: 'public, max-age=3600' },
            },
        };
    }
    return request;
}

// RFC 3986, 6.2.2: what needs no escape has none, and escapes are in upper case.
function decoded(triplet) {
    const letter = String.fromCharCode(parseInt(triplet.slice(1), 16));
    return /[A-Za-z0-9._~-]/.test(letter) ? letter : triplet.toUpperCase();
}

function query(parameters) {
    const pairs = Object.keys(parameters).map((name) =>
        (parameters[name].multiValue || [parameters[name]])
            .map((one) => (one.value === '' ? name : `${name}=${one.value}`))
            .join('&'),
    );
    return pairs.length ? `?${pairs.join('&')}` : '';
}
