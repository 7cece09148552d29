# Data loss prevention (dlp.clearance, dlp.redaction): whoever is not cleared reads a document with its fields masked, and
# does nothing else with it.
#
# Levels have an order. A level that is missing or unknown, of the subject or of the resource, counts as not cleared. A
# type of resource whose fields nobody has listed cannot be masked, so it is not read at all.
package companyos.documents.dlp

import rego.v1

import data.companyos.documents.config

deny contains "dlp.clearance" if {
	not cleared
	input.action != "read"
}

deny contains "dlp.redaction" if {
	not cleared
	not maskable
}

obligations contains {"id": "mask_fields", "policy": "dlp.redaction", "fields": fields} if {
	not cleared
	fields := config.masked_fields[input.resource.type]
}

# A rule of its own: `not config.masked_fields[input.resource.type]` says nothing where the type is missing.
maskable if config.masked_fields[input.resource.type]

cleared if {
	has := config.clearance_levels[input.subject.attributes.clearance]
	needs := config.clearance_levels[input.resource.required_clearance]
	has >= needs
}
