# Export with approval and a log (export.approval): nothing leaves without a ticket, and whatever leaves is written down.
#
# A ticket is a text with something in it. What is exported, by whom and under which ticket goes into the event.
package companyos.documents.export

import rego.v1

deny contains "export.approval" if {
	input.action == "export"
	not ticket
}

remedies contains {"id": "require_approval", "policy": "export.approval", "kind": "export"} if {
	input.action == "export"
	not ticket
}

obligations contains {
	"id": "log_event",
	"policy": "export.approval",
	"event": "export",
	"ticket": ticket,
	"subject": input.subject.id,
	"resource": input.resource.id,
} if {
	input.action == "export"
}

ticket := trimmed if {
	is_string(input.context.approval_ticket)
	trimmed := trim_space(input.context.approval_ticket)
	trimmed != ""
}
