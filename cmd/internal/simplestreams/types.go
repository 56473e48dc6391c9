// Package simplestreams reads image feeds, the JSON by which LXD and Incus find
// images on a server. LXD caches a feed for an hour and knows only its own item
// names, so icepak reads feeds itself: uncached, and with both servers' names.
package simplestreams

import "time"

// The formats that documents of a feed declare.
const (
	IndexFormat    = "index:1.0"
	ProductsFormat = "products:1.0"
	// Images is the datatype of an index entry that lists images.
	Images = "image-downloads"
)

// The file types of items that make up an image: a metadata item and a root
// item. Containers have squashfs or root.tar.xz, virtual machines a disk.
const (
	LXDMetadata   = "lxd.tar.xz"
	IncusMetadata = "incus.tar.xz"
	SquashFS      = "squashfs"
	RootTarXZ     = "root.tar.xz"
	DiskKVM       = "disk-kvm.img"
	Disk1         = "disk1.img"
	DiskUEFI      = "uefi1.img"
)

// The instance types of images, as LXD calls them.
const (
	Container      = "container"
	VirtualMachine = "virtual-machine"
)

// An Index is streams/v1/index.json.
type Index struct {
	Format string                `json:"format"`
	Index  map[string]IndexEntry `json:"index"`
}

// An IndexEntry names a document of products. Path is relative to the feed's URL.
type IndexEntry struct {
	DataType string   `json:"datatype"`
	Format   string   `json:"format"`
	Path     string   `json:"path"`
	Products []string `json:"products"`
}

// Products is streams/v1/images.json: products by their key.
type Products struct {
	ContentID string             `json:"content_id"`
	DataType  string             `json:"datatype"`
	Format    string             `json:"format"`
	Products  map[string]Product `json:"products"`
}

// A Product is one operating system's release for an architecture, in a variant.
type Product struct {
	Aliases      string             `json:"aliases"` // comma-separated
	Arch         string             `json:"arch"`
	OS           string             `json:"os"`
	Release      string             `json:"release"`
	ReleaseTitle string             `json:"release_title"`
	Requirements map[string]string  `json:"requirements"`
	Variant      string             `json:"variant"`
	Versions     map[string]Version `json:"versions"` // by serial

	// LXDRequirements, where a feed has them, stand instead of Requirements.
	LXDRequirements map[string]string `json:"lxd_requirements,omitempty"`
}

// A Version is one build of a product: its files by name.
type Version struct {
	Items map[string]Item `json:"items"`
}

// An Item is one file. Path is relative to the feed's URL, Size in bytes, and
// hashes are hexadecimal. The combined hashes of a metadata item are those of
// itself followed by the root item: the fingerprints of images.
type Item struct {
	FileType         string `json:"ftype"`
	Path             string `json:"path"`
	SHA256           string `json:"sha256"`
	Size             int64  `json:"size"`
	Combined         string `json:"combined_sha256,omitempty"` // with root.tar.xz, the older name
	CombinedRootXZ   string `json:"combined_rootxz_sha256,omitempty"`
	CombinedSquashFS string `json:"combined_squashfs_sha256,omitempty"`
	CombinedDiskKVM  string `json:"combined_disk-kvm-img_sha256,omitempty"`
	CombinedDisk1    string `json:"combined_disk1-img_sha256,omitempty"`
	CombinedDiskUEFI string `json:"combined_uefi1-img_sha256,omitempty"`
}

// VisibleSerial tells whether LXD sees versions of that serial: only those that
// start with a date as YYYYMMDD.
func VisibleSerial(serial string) bool {
	if len(serial) < 8 {
		return false
	}
	_, err := time.Parse("20060102", serial[:8])
	return err == nil
}
