package AI::MXNet::Gluon::NN;
use 5.014;
use strict;
use warnings;
use AI::MXNet;
use AI::MXNet::NS 'global';
use AI::MXNet::Gluon::NN::Containers;
use AI::MXNet::Gluon::NN::BasicLayers;
use AI::MXNet::Gluon::NN::Normalization;
use AI::MXNet::Gluon::NN::Activations;
use AI::MXNet::Gluon::NN::ConvLayers;
use AI::MXNet::Gluon::NN::Pooling;
use AI::MXNet::Gluon::Contrib;

1;

__END__

=head1 NAME

AI::MXNet::Gluon::NN - layers

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use AI::MXNet::Gluon::NN qw(nn);
    my $net = nn->HybridSequential;
    $net->add(
        nn->Dense(16, activation => 'relu', in_units => 4),
        nn->Dropout(0.5),
        nn->Dense(2, in_units => 16),
    );
    $net->initialize(mx->init->Xavier);
    print $net, "\n", $net->(nd->ones([3, 4])), "\n";

=head1 DESCRIPTION

Each layer is an L<AI::MXNet::Gluon::HybridBlock>, unless said otherwise. Arguments before the semicolon may be given by
position, all may be given by name. Sizes of inputs (C<in_units>, C<in_channels>) that are 0 are found when the layer is first
called.

=over 4

=item Sequential, HybridSequential

C<add(@blocks)>, C<< $net->[0] >>, C<@$net>, C<slice(\@indices)>: layers one after another. C<Sequential> is a plain
L<AI::MXNet::Gluon::Block>.

=item Dense(units; activation, use_bias => 1, flatten => 1, weight_initializer, bias_initializer => 'zeros', in_units => 0)

=item Dropout(rate), Embedding(input_dim, output_dim; dtype => 'float32', weight_initializer, sparse_grad => 0), Flatten()

=item Lambda(function), HybridLambda(function)

The name of an operator, or a sub; that of C<HybridLambda> gets C<$F> before the inputs. C<Lambda> is a plain block.

=item BatchNorm(; axis => 1, momentum => 0.9, epsilon => 1e-5, center => 1, scale => 1, use_global_stats => 0, in_channels => 0, ...)

=item LayerNorm(; axis => -1, epsilon => 1e-5, center => 1, scale => 0, in_channels => 0, ...), InstanceNorm(; axis => 1, ...)

=item Activation(activation), LeakyReLU(alpha), PReLU(alpha_initializer), ELU(alpha), SELU(), Swish(beta)

=item Conv1D, Conv2D, Conv3D(channels, kernel_size, strides, padding, dilation; groups, layout, in_channels, activation, use_bias, ...)

=item Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

The same, and C<output_padding>.

=item MaxPool1D, MaxPool2D, MaxPool3D, AvgPool1D, AvgPool2D, AvgPool3D(pool_size, strides, padding; layout, ceil_mode)

C<AvgPool> also has C<count_include_pad>. C<GlobalMaxPool1D> and its five kin take nothing.

=item ReflectionPad2D(padding)

=item Concurrent(axis), HybridConcurrent(axis), Identity(), SparseEmbedding(input_dim, output_dim)

See L<AI::MXNet::Gluon::Contrib>.

=back

=cut
