MODULE = AI::MXNet::Keshi  PACKAGE = AI::MXNet::NDArray

 # A PDL with a copy of the elements; its dimensions are the shape reversed.
void
aspdl(SV *self)
PPCODE:
    RETURN_SV(keshi_to_pdl(aTHX_ keshi_array(self, "aspdl")));

 # A PDL on the same memory.
void
pdl_view(SV *self)
PPCODE:
    RETURN_SV(keshi_view_as_pdl(aTHX_ keshi_array(self, "pdl_view")));

 # An array on the memory of a PDL.
void
from_pdl_view(SV *class, SV *pdl)
PPCODE:
    PERL_UNUSED_VAR(class);
    RETURN_SV(keshi_view_of_pdl(aTHX_ pdl));
