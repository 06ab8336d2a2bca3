package AI::MXNet::Image;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::NS::Operators (
    'AI::MXNet::Image::NDArray' => 'AI::MXNet::NDArray',
    'AI::MXNet::Image::Symbol' => 'AI::MXNet::Symbol',
    '_image_'
);

sub nd { return __PACKAGE__ . '::NDArray' }
sub sym { return __PACKAGE__ . '::Symbol' }
*ndarray = \&nd;
*symbol = \&sym;

1;

__END__

=head1 NAME

AI::MXNet::Image - operators on images

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $pixels = nd->array([[[0], [255]]], dtype => 'uint8');          # height, width, channel
    print nd->image->to_tensor($pixels)->aspdl;

=head1 DESCRIPTION

C<< nd->image->name(...) >> and C<< mx->image->nd->name(...) >> call the operator C<_image_name>, as described in
L<AI::MXNet::NDArray::Base>.

=cut
