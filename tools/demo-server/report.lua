-- SPDX-License-Identifier: Apache-2.0
-- wrk's summary as one line of JSON on standard error.
function done(summary, latency, requests)
   local e = summary.errors
   io.stderr:write(string.format(
      '{"requests": %d, "usec": %d, "connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d, "longest_usec": %d, "median_usec": %d}\n',
      summary.requests, summary.duration, e.connect, e.read, e.write, e.status, e.timeout, latency.max, latency:percentile(50)))
end
