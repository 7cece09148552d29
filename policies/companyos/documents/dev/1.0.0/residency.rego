# EU data residency (residency.eu): personal data stays in the EU.
#
# A resource without a region is outside, and one that does not say that it is free of personal data holds some: a
# forgotten field must not carry data over the border.
package companyos.documents.residency

import rego.v1

deny contains "residency.eu" if {
	not in_eu
	not free_of_pii
}

in_eu if input.resource.region == "eu"

free_of_pii if input.resource.contains_pii == false
