package AI::MXNet::Gluon::Contrib;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Gluon::NN::Containers;

# Layers that came later, beside the others in AI::MXNet::Gluon::NN.

package AI::MXNet::Gluon::NN::Concurrent;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::Sequential';

has axis => (is => 'ro', isa => 'Int', default => -1);

sub python_constructor_arguments { return ['axis'] }

sub forward
{
    my ($self, $x) = @_;
    return AI::MXNet::NDArray->concat((map { scalar $_->call($x) } @{ $self->children }), dim => $self->{axis});
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::HybridConcurrent;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::NN::HybridSequential';

has axis => (is => 'ro', isa => 'Int', default => -1);

sub python_constructor_arguments { return ['axis'] }

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $F->concat((map { scalar $_->call($x) } @{ $self->children }), dim => $self->{axis});
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::Identity;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::HybridBlock';

sub hybrid_forward
{
    my ($self, $F, $x) = @_;
    return $x;
}

__PACKAGE__->register('AI::MXNet::Gluon::NN');

package AI::MXNet::Gluon::NN::SparseEmbedding;    ## no critic (ProhibitMultiplePackages)
use AI::MXNet::Gluon::Mouse;
extends 'AI::MXNet::Gluon::Block';

has [qw(input_dim output_dim)] => (is => 'ro', isa => 'DimSize', required => 1);
has dtype => (is => 'ro', isa => 'Dtype', default => 'float32');
has weight_initializer => (is => 'ro', isa => 'Maybe[Initializer]');
has weight => (is => 'rw', init_arg => undef);

sub python_constructor_arguments { return [qw(input_dim output_dim dtype weight_initializer)] }

sub BUILD
{
    my $self = shift;
    $self->weight(
        $self->params->get(
            'weight',
            shape => [$self->input_dim, $self->output_dim],
            dtype => $self->dtype,
            init => $self->weight_initializer,
            stype => 'row_sparse',
            grad_stype => 'row_sparse'
        )
    );
    return;
}

sub forward
{
    my ($self, $x) = @_;
    return AI::MXNet::NDArray->Embedding(
        $x,
        $self->weight->row_sparse_data($x),
        input_dim => $self->{input_dim},
        output_dim => $self->{output_dim},
        dtype => $self->{dtype},
        sparse_grad => 1,
        name => 'fwd'
    );
}

sub _text { return "SparseEmbedding($_[0]{input_dim} -> $_[0]{output_dim}, $_[0]{dtype})" }

__PACKAGE__->register('AI::MXNet::Gluon::NN');

1;

__END__

=head1 NAME

AI::MXNet::Gluon::Contrib - more layers

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon::NN qw(nn);
    my $net = nn->HybridConcurrent(axis => 1);
    $net->add(nn->Dense(2, in_units => 3), nn->Identity);
    $net->initialize;
    print $net->(nd->ones([4, 3])), "\n";    # 4x5

=head1 DESCRIPTION

They are made like the others, through C<nn>.

=over 4

=item Concurrent(axis => -1), HybridConcurrent(axis => -1)

Give their input to each child and put the results side by side along the axis.

=item Identity

Gives what it gets.

=item SparseEmbedding(input_dim, output_dim; dtype, weight_initializer)

An embedding whose weight and gradient are C<row_sparse>; it needs a L<AI::MXNet::Gluon::Trainer> before it is called.

=back

=cut
