# The decision about one request for a document. Four policies have a say, each in a file of its own:
#
#   residency.rego   EU data residency                  residency.eu
#   export.rego      export with approval and a log     export.approval
#   stepup.rego      step-up authentication             stepup.mfa
#   dlp.rego         data loss prevention               dlp.clearance, dlp.redaction
#
# They limit what an identified subject may do; who may do what by role is the affair of a bundle that knows the roles.
# A field that is missing, or of another type than it should be, counts as the dangerous value everywhere.
package companyos.documents

import rego.v1

import data.companyos.documents.config

# Until something below says more, and for every request that is not complete.
default decision := {"decision": "deny", "reason": "request.incomplete", "obligations": []}

decision := {"decision": "deny", "reason": denials[0], "obligations": remedies} if {
	complete
	count(denied) > 0
}

decision := {"decision": "allow", "reason": reason, "obligations": duties} if {
	complete
	count(denied) == 0
}

complete if {
	named(input.subject.id)
	input.subject.type in config.subject_types
	input.action in config.actions
	named(input.resource.id)
	named(input.resource.type)
}

named(value) if {
	is_string(value)
	value != ""
}

# Why it is denied, the gravest first. A denial that has no place here leaves the default, which denies too.
denials := [id |
	some id in ["residency.eu", "export.approval", "dlp.clearance", "dlp.redaction"]
	id in denied
]

denied := (data.companyos.documents.residency.deny | data.companyos.documents.export.deny) | data.companyos.documents.dlp.deny

# What the subject can do about a denial.
remedies := [duty | some duty in data.companyos.documents.export.remedies]

# What whoever enforces the decision has to do; without it there is no access.
duties := array.concat(
	array.concat(
		[duty | some duty in data.companyos.documents.stepup.obligations],
		[duty | some duty in data.companyos.documents.dlp.obligations],
	),
	[duty | some duty in data.companyos.documents.export.obligations],
)

# The policy behind the first duty; without duties the request was simply allowed.
reason := duties[0].policy

reason := "documents.allowed" if count(duties) == 0
