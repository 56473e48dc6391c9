package polar

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	maxRetryWait  = 20 * time.Second
	maxRetryAfter = time.Minute // that a server may ask for
	crashAttempts = 3           // at what a server answers 500 to and may be asked again
)

// ask makes the request, and makes it again after a 500 where that does no harm:
// the server may have crashed, and Polar fails where two create the same row.
func (c *Client) ask(ctx context.Context, r request, token Secret) error {
	err := c.exchange(ctx, r, token)
	for i := 1; i < crashAttempts && i <= c.opts.RetryMax && r.repeatable() && isServerError(err); i++ {
		if err := c.pause(ctx, i); err != nil {
			return err
		}
		err = c.exchange(ctx, r, token)
	}
	return err
}

func retrying(t *http.Transport, opts Options, policy retryablehttp.CheckRetry) *retryablehttp.Client {
	client := retryablehttp.NewClient()
	client.HTTPClient = &http.Client{
		Transport: t,
		Timeout:   opts.Timeout,
		// Polar does not redirect. Following would hand the password on.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client.Logger = nil
	client.RetryMax = opts.RetryMax
	client.RetryWaitMin = opts.RetryWait
	client.RetryWaitMax = maxRetryWait
	client.CheckRetry = policy
	client.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client.Backoff = backoff
	return client
}

// backoff is how long to wait after the attempt, of which 0 is the first: as the
// answer asks, within reason, else twice as long each time. It varies, so that
// clients that failed together do not come back together.
func backoff(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := retryablehttp.DefaultBackoff(least, most, attempt, resp)
	if resp != nil && resp.Header.Get("Retry-After") != "" {
		if wait < 0 || wait > maxRetryAfter { // a large number of seconds overflows
			wait = maxRetryAfter
		}
		return wait + rand.N(least)
	}
	return wait/2 + rand.N(wait/2+1)
}

// pause waits before something is tried again for the attempt-th time.
func (c *Client) pause(ctx context.Context, attempt int) error {
	timer := time.NewTimer(backoff(c.opts.RetryWait, maxRetryWait, attempt-1, nil))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// mayRepeat is the policy for requests that may be taken twice: they are repeated
// where the connection broke or a proxy answered for the server. A 500 is left to
// ask.
func mayRepeat(ctx context.Context, resp *http.Response, err error) (bool, error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, errTooLarge):
		return false, nil
	case err != nil:
		return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, nil
	}
	return false, nil
}

// notTaken is the policy for events: they are repeated only where no
// connection came about, or the server did not want to look at them yet.
func notTaken(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		dial, ok := errors.AsType[*net.OpError](err)
		return ok && dial.Op == "dial", nil
	}
	return resp.StatusCode == http.StatusTooManyRequests, nil
}
