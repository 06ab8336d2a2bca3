package AI::MXNet::Contrib;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::NS::Operators '_contrib_';

sub onnx
{
    require AI::MXNet::Contrib::ONNX;
    return __PACKAGE__ . '::ONNX';
}

1;

__END__

=head1 NAME

AI::MXNet::Contrib - operators beyond the usual ones

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $boxes = nd->array([[0, 0, 2, 2], [1, 1, 3, 3]]);
    print nd->contrib->box_iou($boxes, $boxes, format => 'corner')->aspdl;

=head1 DESCRIPTION

C<< nd->contrib->name(...) >> and C<< mx->contrib->nd->name(...) >> call the operator C<_contrib_name>, as described in
L<AI::MXNet::NDArray::Base>. C<< mx->contrib->onnx >> is L<AI::MXNet::Contrib::ONNX>.

=cut
