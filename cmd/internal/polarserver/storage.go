package polarserver

import (
	"net/http"
)

// The bucket is a path of this server: uploads come to where the API is.
const (
	bucketName   = "uploads"
	bucketRegion = "us-east-1"
)

// getStorage names the bucket that files are uploaded to. The endpoint is where the
// request came to; as Polar has it, a host without a scheme stands for https.
func (s *server) getStorage(w http.ResponseWriter, r *http.Request) error {
	keys, err := s.store.StorageKeys(r.Context())
	if err != nil {
		return err
	}
	endpoint := r.Host
	// A proxy that has the certificate says so. Who else says so only hears it back.
	if r.TLS == nil && r.Header.Get("X-Forwarded-Proto") != "https" {
		endpoint = "http://" + r.Host
	}
	return answerData(w, http.StatusOK, map[string]string{
		"access_key_id": keys.AccessKey, "secret_access_key": string(keys.SecretKey),
		"bucket": bucketName, "region": bucketRegion, "endpoint": endpoint,
	})
}
