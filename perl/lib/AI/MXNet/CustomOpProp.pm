package AI::MXNet::CustomOpProp;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

sub new
{
    my ($class, %fields) = @_;
    return bless { need_top_grad => 1, %fields }, $class;
}

sub need_top_grad { return $_[0]{need_top_grad} // 1 }
sub list_arguments { return ['data'] }
sub list_outputs { return ['output'] }
sub list_auxiliary_states { return [] }

sub infer_shape
{
    my ($self, $in_shape) = @_;
    return ($in_shape, [($in_shape->[0]) x $self->_count('list_outputs')], []);
}

# What is not known is taken for what the first input is.
sub infer_type
{
    my ($self, $in_type) = @_;
    my ($outputs, $states) = map { [($in_type->[0]) x $self->_count($_)] } qw(list_outputs list_auxiliary_states);
    return ([map { $_ // $in_type->[0] } @$in_type], $outputs, $states);
}

sub _count
{
    my ($self, $list) = @_;
    my @names = $self->$list;
    return @names == 1 && ref $names[0] eq 'ARRAY' ? scalar @{ $names[0] } : scalar @names;
}

sub declare_backward_dependency
{
    my ($self, $out_grad, $in_data, $out_data) = @_;
    return [$self->need_top_grad ? @$out_grad : (), @$in_data, @$out_data];
}

sub create_operator
{
    return AI::MXNet::Keshi::fail((ref $_[0] || $_[0]) . ': want a method create_operator');
}

1;

__END__

=head1 NAME

AI::MXNet::CustomOpProp - what is known of an operator of one's own before it is called

=head1 SYNOPSIS

    use AI::MXNet qw(mx);

    package HingeProp;
    use parent -norequire, 'AI::MXNet::CustomOpProp';

    sub new
    {
        my ($class, %keywords) = @_;
        return $class->SUPER::new(%keywords, need_top_grad => 0);
    }
    sub list_arguments { return ['data', 'label'] }
    sub infer_shape
    {
        my ($self, $in_shape) = @_;
        my $data = $in_shape->[0];
        return ([$data, [$data->[0]]], [$data], []);
    }

    package main;
    mx->operator->register('hinge', 'HingeProp');
    my $loss = mx->sym->Custom(data => mx->sym->Variable('data'), op_type => 'hinge', name => 'hinge', margin => 1);
    print join(' ', @{ $loss->list_arguments }), "\n";    # data hinge_label

=head1 DESCRIPTION

The base class of what L<AI::MXNet::Operator> registers. C<new> gets the keywords of a call, all as texts; this one keeps them as fields.
All methods may be overridden; those that return lists return a reference or a list.

=over 4

=item need_top_grad

Whether C<backward> wants the gradients of the outputs; 0 makes it a loss. The field of this name, or 1.

=item list_arguments, list_outputs

Names of the inputs, C<['data']>, and of the outputs, C<['output']>.

=item list_auxiliary_states

Names of auxiliary states, C<[]>: arrays that C<forward> may change and that have no gradient. They are inputs of the call behind the
others, and C<infer_shape> must tell their shapes.

=item infer_shape(\@in_shape)

Shapes of the inputs, of the outputs, and of the states. What is not known is an empty shape, or 0 where a size is not. Unless overridden: all are
that of the first input.

=item infer_type(\@in_type)

The same for dtypes, as texts; undef where unknown.

=item declare_backward_dependency(\@out_grad, \@in_data, \@out_data)

Which of these numbers C<backward> needs. C<backward> gets gradients of outputs where one of those is among them.

=item create_operator($ctx, \@in_shapes, \@in_dtypes)

An L<AI::MXNet::CustomOp> for inputs of these shapes and dtypes.

=back

=head1 SEE ALSO

L<AI::MXNet::Operator>, L<AI::MXNet::CustomOp>

=cut
