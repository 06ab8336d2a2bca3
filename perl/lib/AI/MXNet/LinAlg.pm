package AI::MXNet::LinAlg;
use 5.014;
use strict;
use warnings;
use AI::MXNet::NS;
use AI::MXNet::NS::Operators '_linalg_';

1;

__END__

=head1 NAME

AI::MXNet::LinAlg - linear algebra

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([[4, 2], [2, 5]]);
    print nd->linalg->gemm2($x, $x)->aspdl;

=head1 DESCRIPTION

C<< nd->linalg->name(...) >> and C<< mx->linalg->nd->name(...) >> call the operator C<_linalg_name>, as described in
L<AI::MXNet::NDArray::Base>.

=cut
