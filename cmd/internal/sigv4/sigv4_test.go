package sigv4

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	minio "github.com/minio/minio-go/v7/pkg/signer"
)

// The examples of Amazon's documentation use these.
var (
	exampleKeys = Keys{Access: "AKIAIOSFODNN7EXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Region: "us-east-1"}
	exampleTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
)

const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// example makes a request of Amazon's documentation.
func example(method, url, body, signed, signature string, header ...string) *http.Request {
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("X-Amz-Content-Sha256", emptyHash)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	r.Header.Set("Authorization", algorithm+" Credential="+exampleKeys.Access+"/20130524/us-east-1/s3/aws4_request,SignedHeaders="+signed+",Signature="+signature)
	return r
}

func put() *http.Request {
	return example("PUT", "https://examplebucket.s3.amazonaws.com/test$file.text", "Welcome to Amazon S3.",
		"date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
		"Date", "Fri, 24 May 2013 00:00:00 GMT", "X-Amz-Storage-Class", "REDUCED_REDUNDANCY",
		"X-Amz-Content-Sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
}

func chunked(body string) *http.Request {
	r := example("PUT", "https://s3.amazonaws.com/examplebucket/chunkObject.txt", body,
		"content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
		"4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
		"X-Amz-Storage-Class", "REDUCED_REDUNDANCY", "Content-Encoding", "aws-chunked",
		"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "66560")
	r.ContentLength = 66824
	return r
}

func chunks() string {
	return "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + strings.Repeat("a", 65536) +
		"\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + strings.Repeat("a", 1024) +
		"\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
}

func TestAmazonsExamplesAreTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		r    *http.Request
		body string
	}{
		"GET with a range": {example("GET", "https://examplebucket.s3.amazonaws.com/test.txt", "", "host;range;x-amz-content-sha256;x-amz-date",
			"f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41", "Range", "bytes=0-9"), ""},
		"GET with a flag": {example("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle", "", "host;x-amz-content-sha256;x-amz-date",
			"fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"), ""},
		"GET with a query": {example("GET", "https://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2", "", "host;x-amz-content-sha256;x-amz-date",
			"34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"), ""},
		"PUT":           {put(), "Welcome to Amazon S3."},
		"PUT in chunks": {chunked(chunks()), strings.Repeat("a", 66560)},
	} {
		t.Run(name, func(t *testing.T) {
			body, size, err := Verify(tt.r, exampleKeys, exampleTime.Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(body)
			if err != nil || string(data) != tt.body || size != int64(len(tt.body)) {
				t.Errorf("%d bytes of %d, %v", len(data), size, err)
			}
		})
	}
}

func TestWhatWasNotSignedIsRefused(t *testing.T) {
	keys := func(change func(*Keys)) Keys {
		k := exampleKeys
		change(&k)
		return k
	}
	for name, tt := range map[string]struct {
		change func(*http.Request)
		keys   Keys
		after  time.Duration
		code   string
	}{
		"another secret":           {keys: keys(func(k *Keys) { k.Secret += "x" }), code: "SignatureDoesNotMatch"},
		"another access key":       {keys: keys(func(k *Keys) { k.Access = "AKIA" }), code: "InvalidAccessKeyId"},
		"another region":           {keys: keys(func(k *Keys) { k.Region = "mars" }), code: "AuthorizationHeaderMalformed"},
		"too late":                 {after: 16 * time.Minute, code: "RequestTimeTooSkewed"},
		"too early":                {after: -16 * time.Minute, code: "RequestTimeTooSkewed"},
		"another method":           {change: func(r *http.Request) { r.Method = "DELETE" }, code: "SignatureDoesNotMatch"},
		"another path":             {change: func(r *http.Request) { r.URL.Path = "/other" }, code: "SignatureDoesNotMatch"},
		"another query":            {change: func(r *http.Request) { r.URL.RawQuery = "uploads=" }, code: "SignatureDoesNotMatch"},
		"a malformed query":        {change: func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, code: "InvalidURI"},
		"another host":             {change: func(r *http.Request) { r.Host = "example.com" }, code: "SignatureDoesNotMatch"},
		"another signed header":    {change: func(r *http.Request) { r.Header.Set("X-Amz-Storage-Class", "STANDARD") }, code: "SignatureDoesNotMatch"},
		"a header that is added":   {change: func(r *http.Request) { r.Header.Set("X-Amz-Acl", "public-read") }, code: "AccessDenied"},
		"a digest that is added":   {change: func(r *http.Request) { r.Header.Set("Content-Md5", "x") }, code: "AccessDenied"},
		"a hash that is taken off": {change: func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", unsigned) }, code: "SignatureDoesNotMatch"},
		"another date":             {change: func(r *http.Request) { r.Header.Set("X-Amz-Date", "20130524T000001Z") }, code: "SignatureDoesNotMatch"},
		"no date":                  {change: func(r *http.Request) { r.Header.Del("X-Amz-Date") }, code: "AccessDenied"},
		"no signature":             {change: func(r *http.Request) { r.Header.Del("Authorization") }, code: "AccessDenied"},
		"a session's token":        {change: func(r *http.Request) { r.Header.Set("Authorization", "AAAA") }, code: "AccessDenied"},
		"half a signature":         {change: func(r *http.Request) { r.Header.Set("Authorization", algorithm+" Credential=a/b") }, code: "AuthorizationHeaderMalformed"},
		"an unsigned host": {change: func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;", "", 1))
		}, code: "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.keys == (Keys{}) {
				tt.keys = exampleKeys
			}
			r := put()
			if tt.change != nil {
				tt.change(r)
			}
			_, _, err := Verify(r, tt.keys, exampleTime.Add(tt.after))
			var refused *Error
			if !errors.As(err, &refused) || refused.Code != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
			if err != nil && strings.Contains(err.Error(), exampleKeys.Secret) {
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}

func TestAnotherBodyThanWasSignedFails(t *testing.T) {
	whole := chunks()
	for name, tt := range map[string]struct {
		r    *http.Request
		body string
	}{
		"another body":          {put(), "Welcome to Amazon S4."},
		"a shorter body":        {put(), "Welcome"},
		"another chunk":         {chunked(""), strings.Replace(whole, "aaaa", "aaab", 1)},
		"another second chunk":  {chunked(""), whole[:66000] + strings.Replace(whole[66000:], "aaaa", "aaab", 1)},
		"cut in a chunk":        {chunked(""), whole[:1000]},
		"cut after a chunk":     {chunked(""), whole[:strings.Index(whole, "\r\n400")+2]},
		"cut in a header":       {chunked(""), whole[:50]},
		"without the last":      {chunked(""), whole[:strings.Index(whole, "\r\n0;")+2]},
		"a chunk is missing":    {chunked(""), whole[:strings.Index(whole, "\r\n400")+2] + whole[strings.Index(whole, "0;chunk-signature=b6"):]},
		"a chunk that is large": {chunked(""), "ffffffff" + whole},
		"no chunks":             {chunked(""), strings.Repeat("a", 66560)},
		"nothing":               {chunked(""), ""},
	} {
		t.Run(name, func(t *testing.T) {
			tt.r.Body = io.NopCloser(strings.NewReader(tt.body))
			body, _, err := Verify(tt.r, exampleKeys, exampleTime)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, body); err == nil {
				t.Errorf("%d bytes were read without an error", n)
			}
		})
	}
}

func TestBodiesOfUnknownKindsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*http.Request){
		"MissingContentLength": func(r *http.Request) { r.ContentLength = -1 },
		"NotImplemented":       func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER") },
	} {
		r := httptest.NewRequest("PUT", "http://127.0.0.1/uploads/x", strings.NewReader("x"))
		r.Header.Set("X-Amz-Content-Sha256", unsigned)
		change(r)
		r = minio.SignV4(*r, exampleKeys.Access, exampleKeys.Secret, "", exampleKeys.Region)
		var refused *Error
		if _, _, err := Verify(r, exampleKeys, time.Now()); !errors.As(err, &refused) || refused.Code != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzChunks holds that no bytes but those that were signed are read without an
// error.
func FuzzChunks(f *testing.F) {
	const text, seed = "hello world", "the signature of the request"
	s := &signer{key: []byte("key"), date: exampleTime, scope: "scope"}
	var whole strings.Builder
	before := seed
	for _, chunk := range []string{"hello", " world", ""} {
		before = s.sign(algorithm+"-PAYLOAD", before, hash256(nil), hash256([]byte(chunk)))
		fmt.Fprintf(&whole, "%x;chunk-signature=%s\r\n%s\r\n", len(chunk), before, chunk)
	}
	f.Add([]byte(whole.String()), 100)
	f.Add([]byte("0;chunk-signature=x\r\n\r\n"), 1)
	f.Fuzz(func(t *testing.T, body []byte, buffer int) {
		r := newChunkReader(bytes.NewReader(body), s, seed, int64(len(text)))
		var out bytes.Buffer
		_, err := io.CopyBuffer(struct{ io.Writer }{&out}, r, make([]byte, 1+max(0, buffer)%4096))
		if err == nil && out.String() != text {
			t.Errorf("other bytes were read: %q", out.String())
		}
		if err != nil && bytes.Equal(body, []byte(whole.String())) {
			t.Error(err)
		}
	})
}
